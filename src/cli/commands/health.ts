import type { Command } from 'commander';
import { admin, nodeState } from './options.ts';

/** `meshnet health`. */
export function declareHealth(program: Command): void {
  admin(
    program
      .command('health')
      .description('whether the controller or the node of this machine is well: for health checks')
      .option('--state <dir>', 'state of the node', nodeState),
  ).action(async (options) => {
    const { health } = await import('../meshnet-health.ts');
    await health(options);
  });
}
