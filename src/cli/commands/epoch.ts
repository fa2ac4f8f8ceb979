import type { Command } from 'commander';
import { admin, nodeState, reader } from './options.ts';

/** The present epoch: read it, ask it for reasons, end it. */
export function declareEpoch(program: Command): void {
  reader(program.command('status').description('one line per node'))
    .option('--state <dir>', 'of the node on this machine, for handshakes and paths', nodeState)
    .action(async (options) => {
      const { status } = await import('../meshnet-epoch.ts');
      await status(options);
    });
  reader(
    program.command('why').argument('<node>').description('why a node is in or out, with numbers'),
  ).action(async (name, options) => {
    const { why } = await import('../meshnet-epoch.ts');
    await why(name, options);
  });
  reader(program.command('epoch').description('the present epoch')).action(async (options) => {
    const { epoch } = await import('../meshnet-epoch.ts');
    await epoch(options);
  });
  admin(program.command('rotate').description('begin a new epoch now')).action(async (options) => {
    const { rotate } = await import('../meshnet-epoch.ts');
    await rotate(options);
  });
}
