import type { Command } from 'commander';
import { admin } from './options.ts';

/** `meshnet events`. */
export function declareEvents(program: Command): void {
  admin(program.command('events').description('what has happened since the controller started'))
    .option('--follow', 'go on with what happens')
    .option('--all', 'with --follow: also each score and each refused request')
    .action(async (options) => {
      const { showEvents } = await import('../meshnet-events.ts');
      await showEvents(options);
    });
}
