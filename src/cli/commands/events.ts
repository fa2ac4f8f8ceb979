import type { Command } from 'commander';
import { admin, nodeState } from './options.ts';

/** `meshnet events`. */
export function declareEvents(program: Command): void {
  admin(
    program
      .command('events')
      .description(
        'what has happened since the start: of the controller of this machine, else of its node',
      )
      .option('--state <dir>', 'state of the node', nodeState),
  )
    .option('--follow', 'go on with what happens')
    .option('--all', 'with --follow: also each score, echo and refused request')
    .action(async (options) => {
      const { showEvents } = await import('../meshnet-events.ts');
      await showEvents(options);
    });
}
