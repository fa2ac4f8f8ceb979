import type { Command } from 'commander';
import { httpUrl } from '../numbers.ts';
import { json } from './options.ts';

/** `meshnet context`. */
export function declareContexts(program: Command): void {
  const context = program
    .command('context')
    .description('meshes that are administered from here, over the network');
  context
    .command('add')
    .argument('<name>')
    .description('remember a mesh for --context; MESHNET_ACCESS_TOKEN is its token')
    .requiredOption('--controller <url>', 'the controller', httpUrl)
    .option('--token-file <file>', 'a file with the token instead')
    .option('--client-cert <file>', 'a client certificate (PEM) to show, with or without a token')
    .option('--client-key <file>', 'and its private key, mode 0600')
    .option(
      '--mesh <id>',
      'without a token: the mesh id, as status --json and context list have it',
    )
    .addOption(json())
    .action(async (name, options) => {
      const { addContext } = await import('../meshnet-context.ts');
      await addContext(name, options);
    });
  context
    .command('list')
    .description('the meshes that are remembered')
    .addOption(json())
    .action(async (options) => {
      const { listContexts } = await import('../meshnet-context.ts');
      listContexts(options);
    });
  context
    .command('remove')
    .argument('<name>')
    .description('forget one, with its token')
    .addOption(json())
    .action(async (name, options) => {
      const { forgetContext } = await import('../meshnet-context.ts');
      forgetContext(name, options);
    });
}
