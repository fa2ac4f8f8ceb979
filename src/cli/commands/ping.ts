import type { Command } from 'commander';
import { integerBetween } from '../numbers.ts';
import { json, nodeState } from './options.ts';

/** `meshnet ping`. */
export function declarePing(program: Command): void {
  program
    .command('ping')
    .argument('<node>')
    .description(
      'whether a node is reached through the tunnel of this machine: path and round trip',
    )
    .option('--count <count>', 'echoes, a second apart', integerBetween(1, 1e6), 3)
    .option('--state <dir>', 'state of the node on this machine', nodeState)
    .addOption(json())
    .action(async (node, options) => {
      const { ping } = await import('../meshnet-ping.ts');
      await ping(node, options);
    });
}
