import type { Command } from 'commander';
import { integerBetween } from '../numbers.ts';
import { evaluatorKey, json, scoreFrom } from './options.ts';

/** `meshnet score`. */
export function declareScore(program: Command): void {
  evaluatorKey(scoreFrom(program.command('score')))
    .argument('[node]')
    .argument('[score]', 'from 0 to 1, or JSON as a score command prints it')
    .description("report a node's score as an evaluator that the policy lists")
    .option('--batch', 'many: lines NODE SCORE, or JSON with `node`, on standard input')
    .option('--suite <name>', 'suite that the score is of', 'alignment')
    .option('--samples <count>', 'of how many items it is the mean', integerBetween(1, 1e9))
    .option('--observed-at <date>', 'when it was measured: ms since 1970 or 2026-01-31T12:00:00Z')
    .addOption(json())
    .action(async (name, value, options) => {
      const { score } = await import('../meshnet-score.ts');
      await score(name, value, options);
    });
}
