import { type Command, Option } from 'commander';
import { httpUrl } from '../numbers.ts';
import { json, nodeState } from './options.ts';

/** `meshnet leave`. */
export function declareLeave(program: Command): void {
  program
    .command('leave')
    .description('take the node of this machine out of its mesh for good, and delete its keys')
    .option('--state <dir>', 'state of the node', nodeState)
    .addOption(
      new Option('--controller <url>', 'the controller (default: the one that the node knows)')
        .env('MESHNET_CONTROLLER')
        .argParser(httpUrl),
    )
    .option('--force', 'also where the controller cannot be told')
    .addOption(json())
    .action(async (options) => {
      const { leave } = await import('../meshnet-leave.ts');
      await leave(options);
    });
}
