import type { Command } from 'commander';
import { admin, nodeState } from './options.ts';

/** `meshnet bugreport`. */
export function declareBugReport(program: Command): void {
  admin(
    program
      .command('bugreport')
      .description('what helps to find a fault of the controller or node here, without secrets')
      .option('--state <dir>', 'state of the node', nodeState)
      .option('--out <file>', 'write it there (mode 0600); default: standard output'),
  ).action(async (options) => {
    const { writeBugReport } = await import('../meshnet-bugreport.ts');
    await writeBugReport(options);
  });
}
