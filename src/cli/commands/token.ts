import { type Command, Option } from 'commander';
import {
  durationSeconds,
  hostAndPort,
  httpUrl,
  namePattern,
  serviceAccounts,
  usesOf,
} from '../numbers.ts';
import { admin, json } from './options.ts';

/** Where Kubernetes puts what a pod needs to ask its API server. */
const POD_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

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
  admin(
    token
      .command('kubernetes')
      .description('give join tokens to pods that Kubernetes vouches for, until stopped')
      .requiredOption('--audience <name>', 'what their tokens must have been made for'),
  )
    .option(
      '--pods <accounts>',
      'NAMESPACE/NAME whose pods may enrol, by their names',
      serviceAccounts,
    )
    .option('--machines <accounts>', 'the same, by the names of their machines', serviceAccounts)
    .addOption(
      new Option('--listen <address>', 'where pods come to')
        .argParser(hostAndPort)
        .default({ host: '127.0.0.1', port: 8442 }, '127.0.0.1:8442'),
    )
    .option('--tls-cert <file>', 'certificate (PEM) to serve with; read again when it changes')
    .option('--tls-key <file>', 'and its private key')
    .option('--ttl <time>', 'how long a join token can be used', durationSeconds, 300)
    .option('--ephemeral <time>', 'nodes are removed when silent for so long', durationSeconds)
    .option('--api <url>', 'the API server', httpUrl, apiServer())
    .option('--api-token <file>', 'who asks it', `${POD_ACCOUNT}/token`)
    .action(async (options) => {
      const { runKubernetesTokens } = await import('../kubernetes-tokens.ts');
      await runKubernetesTokens(options);
    });
  token
    .command('fetch')
    .argument('<url>', 'of a `meshnet token kubernetes`', httpUrl)
    .description('get a join token for this pod; none is needed if its node is enrolled')
    .requiredOption('--identity <file>', "token of the pod's service account")
    .requiredOption('--into <file>', 'where the join token goes, mode 0600')
    .option('--timeout <time>', 'how long to try while nobody answers', durationSeconds, 120)
    .addOption(json())
    .action(async (url, options) => {
      const { fetchToken } = await import('../fetch-token.ts');
      await fetchToken(url, options);
    });
}

/** As Kubernetes tells every pod. */
function apiServer(): string {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = process.env;
  if (!host) return 'https://kubernetes.default.svc';
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
