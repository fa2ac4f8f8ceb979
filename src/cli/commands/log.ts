import { type Command, InvalidArgumentError, Option } from 'commander';
import { admin, epochNumber, json, LOG_WHERE, nodeState } from './options.ts';

/** The log of the mesh: read it, verify it, prove something from it. */
export function declareLog(program: Command): void {
  const log = program
    .command('log')
    .description('the record of every decision, and whether it is right');
  const reading = (name: string, description: string) =>
    admin(
      log
        .command(name)
        .description(description)
        .option('--mesh <id>', 'mesh id; needed with a directory or URL')
        .option('--state <dir>', 'of the node on this machine, which asks as a member', nodeState),
    );

  reading('show', 'who was enrolled, cut and removed, and when')
    .argument('[where]', LOG_WHERE)
    .option('--node <node>', 'only what is about this node')
    .option('--event <event>', 'only events of this kind')
    .option('--since <time>', 'only from this time on', timeOf)
    .option('--all', 'also epochs that cut nobody')
    .option('--follow', 'go on as the log grows')
    .action(async (where, options) => {
      const { show } = await import('../meshnet-log.ts');
      await show(where, asMember(options));
    });

  reading('verify', 'verify all of it: signatures, hashes, and every verdict from its evidence')
    .argument('[where]', LOG_WHERE)
    .option('--seen <file>', 'a checkpoint seen earlier, which the log must extend')
    .action(async (where, options) => {
      const { verify } = await import('../meshnet-log.ts');
      await verify(where, asMember(options));
    });

  reading('prove', 'one file that shows a verdict to somebody who has nothing else')
    .argument('<node>')
    .argument('<epoch>', 'number of the epoch', epochNumber)
    .argument('[where]', LOG_WHERE)
    .option('--out <file>', 'write it there; default: standard output')
    .action(async (node, epoch, where, options) => {
      const { prove } = await import('../meshnet-log-proof.ts');
      await prove(node, epoch, where, asMember(options));
    });

  log
    .command('check')
    .description('check such files, and forked-logs.json of nodes, offline and side by side')
    .argument('<file...>')
    .requiredOption('--mesh <id>', 'mesh id')
    .addOption(json())
    .action(async (files, options) => {
      const { check } = await import('../meshnet-log-check.ts');
      check(files, options);
    });

  reading('export', 'the leaves as lines, or the whole log as files for any web server')
    .argument('[where]', LOG_WHERE)
    .addOption(new Option('--format <format>').choices(['jsonl', 'csv']).default('jsonl'))
    .option('--directory <directory>', 'write the log there, as /log/ serves it')
    .action(async (where, options) => {
      const { exportLog } = await import('../meshnet-log.ts');
      await exportLog(where, asMember(options));
    });
}

function timeOf(text: string): number {
  const time = Date.parse(text);
  if (Number.isNaN(time))
    throw new InvalidArgumentError('Expected a time such as 2026-11-30T12:00Z.');
  return time;
}

/** The node of this machine asks, where there is one and no socket of a controller. */
function asMember<Options extends { readonly state: string }>(
  options: Options,
): Options & { readonly member: string } {
  return { ...options, member: options.state };
}
