import type { Command } from 'commander';
import { durationSeconds, namePattern, usesOf } from '../numbers.ts';
import { admin } from './options.ts';

/** `meshnet token`. */
export function declareTokens(program: Command): void {
  const token = program.command('token').description('join tokens');
  admin(token.command('create').description('make a join token; it is shown this once'))
    .option('--node <name>', 'for this node only')
    .option('--names <pattern>', 'for nodes of such names only, as web-*', namePattern)
    .option('--group <name>', 'for nodes of this group of the policy only')
    .option('--uses <count>', 'how many nodes may use it, a number or any', usesOf, 1)
    .option('--ephemeral <time>', 'its nodes are removed when silent for so long', durationSeconds)
    .option('--ttl <time>', 'how long it can be used', durationSeconds, 3600)
    .action(async (options) => {
      const { createToken } = await import('../meshnet-tokens.ts');
      await createToken(options);
    });
  admin(
    token
      .command('write')
      .argument('<nodes...>')
      .description('a file with a join token for each node that is not enrolled; can be repeated')
      .requiredOption('--into <dir>', 'where: one file per node, mode 0600'),
  )
    .option('--ttl <time>', 'how long they can be used', durationSeconds, 3600)
    .action(async (nodes, options) => {
      const { writeTokens } = await import('../token-folder.ts');
      await writeTokens(nodes, options);
    });
  admin(token.command('list').description('tokens that can still be used')).action(
    async (options) => {
      const { listTokens } = await import('../meshnet-tokens.ts');
      await listTokens(options);
    },
  );
}
