import type { Command } from 'commander';
import { admin, epochNumber, reader, readerOptions } from './options.ts';

/** The present epoch: read it, ask it for reasons, end it. */
export function declareEpoch(program: Command): void {
  reader(program.command('status').description('one line per node')).action(async (options) => {
    const { status } = await import('../meshnet-epoch.ts');
    await status(readerOptions(options));
  });
  reader(
    program
      .command('why')
      .argument('<node>')
      .description('why a node is in or out, with numbers')
      .option('--epoch <n>', 'in that epoch instead, from the log', epochNumber),
  ).action(async (name, options) => {
    if (options.epoch !== undefined) {
      const { whyThen } = await import('../meshnet-log-proof.ts');
      const { socket, defaultSocket } = readerOptions(options);
      const where = { ...options, socket: socket ?? defaultSocket, member: options.state };
      return whyThen(name, options.epoch, where);
    }
    const { why } = await import('../meshnet-epoch.ts');
    await why(name, readerOptions(options));
  });
  reader(program.command('epoch').description('the present epoch')).action(async (options) => {
    const { epoch } = await import('../meshnet-epoch.ts');
    await epoch(readerOptions(options));
  });
  admin(program.command('rotate').description('begin a new epoch now')).action(async (options) => {
    const { rotate } = await import('../meshnet-epoch.ts');
    await rotate(options);
  });
}
