import { type Command, Option } from 'commander';
import { httpUrl, integerBetween } from '../numbers.ts';
import { json, share } from './options.ts';

/** `meshnet score`. */
export function declareScore(program: Command): void {
  program
    .command('score')
    .argument('<node>')
    .argument('<score>', 'from 0 to 1', share)
    .description("report a node's score as an evaluator that the policy lists")
    .requiredOption('--key <file>', "the evaluator's signing key; made if it is not there")
    .option('--mesh <id>', 'mesh id')
    .addOption(
      new Option('--controller <url>', 'the controller')
        .env('MESHNET_CONTROLLER')
        .argParser(httpUrl)
        .default('http://127.0.0.1:8440'),
    )
    .option('--suite <name>', 'suite that the score is of', 'alignment')
    .option('--samples <count>', 'samples behind the score', integerBetween(1, 1e9), 50)
    .addOption(json())
    .action(async (name, value, options) => {
      const { score } = await import('../meshnet-score.ts');
      await score(name, value, options);
    });
}
