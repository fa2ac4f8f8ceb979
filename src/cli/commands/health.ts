import type { Command } from 'commander';
import { durationSeconds } from '../numbers.ts';
import { admin, nodeState } from './options.ts';

/** `meshnet health`, `meshnet wait-ready` and `meshnet wait-out`. */
export function declareHealth(program: Command): void {
  const timeout = ['--timeout <time>', 'give up after this; exit code 1'] as const;
  const asked = (name: string, description: string) =>
    admin(
      program
        .command(name)
        .description(description)
        .option('--state <dir>', 'state of the node', nodeState),
    );
  asked(
    'health',
    'whether the controller or the node of this machine is well: for health checks',
  ).action(async (options) => {
    const { health } = await import('../meshnet-health.ts');
    await health(options);
  });
  asked('wait-ready', 'wait until it decides epochs, or is a member that reaches the others')
    .option(...timeout, durationSeconds, 60)
    .action(async (options) => {
      const { waitReady } = await import('../meshnet-health.ts');
      await waitReady(options);
    });
  asked(
    'wait-out',
    'wait until the epoch is without a node, or until this node has dropped its keys',
  )
    .argument('<node>')
    .option(...timeout, durationSeconds, 60)
    .action(async (name, options) => {
      const { waitOut } = await import('../meshnet-health.ts');
      await waitOut(name, options);
    });
}
