import type { Command } from 'commander';
import { json, nodeState } from './options.ts';

/** `meshnet keygen`. */
export function declareKeygen(program: Command): void {
  program
    .command('keygen')
    .description("make a node's keys, if it has none, and show the public ones")
    .option('--state <dir>', 'keys and memory of the node', nodeState)
    .addOption(json())
    .action(async (options) => {
      const { keygen } = await import('../meshnet-keygen.ts');
      keygen(options);
    });
}
