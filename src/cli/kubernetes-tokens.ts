import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { systemClock } from '../agent/clock.ts';
import type { TokenAnswer, TokenList } from '../contract/admin.ts';
import { printable, printableJson } from '../contract/printable.ts';
import { type JoinTokenEvent, serveJoinTokens } from '../kubernetes/join-token-server.ts';
import { ReviewError, reviewToken } from '../kubernetes/token-review.ts';
import { type AdminTarget, adminCall } from './admin-client.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { epochFromSocket } from './read-epoch.ts';
import { standardError, standardOutput } from './standard-output.ts';
import { stopSignal } from './stop-signal.ts';
import { TlsFileError, TlsFiles } from './tls-files.ts';

/** Options of `meshnet token kubernetes`. */
export interface KubernetesTokensOptions extends AdminTarget {
  readonly listen: { readonly host: string; readonly port: number };
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly audience: string;
  readonly pods?: readonly string[];
  readonly machines?: readonly string[];
  readonly api: string;
  readonly apiToken: string;
  readonly ttl: number;
  readonly ephemeral?: number;
  readonly json?: boolean;
}

const REVIEW_TIMEOUT_MS = 5000;

/** `meshnet token kubernetes`: beside a controller; gives join tokens to pods, until it is stopped. */
export async function runKubernetesTokens(options: KubernetesTokensOptions): Promise<void> {
  const { pods = [], machines = [], tlsCert, tlsKey } = options;
  if (pods.length + machines.length === 0) {
    throw usage('--pods or --machines: expected at least one service account, NAMESPACE/NAME');
  }
  const files = filesOf(tlsCert, tlsKey);
  const signal = stopSignal({ withStdin: false, withStdout: false });
  const output = standardOutput();
  const tell = (event: object, text: string) => {
    const at = Date.now();
    const line = options.json
      ? printableJson(JSON.stringify({ at, ...event }))
      : `${new Date(at).toISOString()} ${printable(text)}`;
    output.write(`${line}\n`);
  };
  const server = await serveJoinTokens(
    {
      admission: { pods: new Set(pods), machines: new Set(machines) },
      review: (token) =>
        reviewToken(token, {
          api: options.api.replace(/\/+$/, ''),
          ownToken: () => ownToken(options.apiToken),
          audience: options.audience,
          timeoutMs: REVIEW_TIMEOUT_MS,
        }),
      issue: (nodeId) => issue(options, nodeId),
      told: (event) => tell(event, sentence(event)),
    },
    options.listen,
    files?.certificate,
  );
  const { host } = options.listen;
  tell({ event: 'listening', host, port: server.port }, `pods come to ${host} port ${server.port}`);
  const warn = (message: string) => standardError().write(`meshnet token: ${message}\n`);
  void files?.follow((renewed) => server.useCertificate(renewed), warn, systemClock, signal);
  if (!signal.aborted) await once(signal, 'abort');
  await server.close();
}

function filesOf(cert: string | undefined, key: string | undefined): TlsFiles | undefined {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw usage('--tls-cert and --tls-key belong together: give both');
  }
  try {
    return new TlsFiles(cert, key);
  } catch (error) {
    if (error instanceof TlsFileError) throw usage(error.message);
    throw error;
  }
}

function ownToken(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new ReviewError(`--api-token ${path}: ${(error as NodeJS.ErrnoException).code}`);
  }
}

/** A join token for this node alone, in place of one before it; null for a node that is enrolled. */
async function issue(options: KubernetesTokensOptions, nodeId: string): Promise<string | null> {
  const target: AdminTarget = { socket: options.socket };
  const epoch = await epochFromSocket(target);
  if (epoch.nodes.some(({ node_id }) => node_id === nodeId)) return null;
  const { tokens } = await adminCall<TokenList>(target, 'GET', '/v1/tokens');
  for (const { id } of tokens.filter(({ node_id }) => node_id === nodeId)) {
    await adminCall<void>(target, 'DELETE', `/v1/tokens/${id}`);
  }
  const body = { node_id: nodeId, ttl_s: options.ttl, silence_s: options.ephemeral ?? null };
  return (await adminCall<TokenAnswer>(target, 'POST', '/v1/tokens', body)).token;
}

function sentence({ event, address, node = '', reason = '' }: JoinTokenEvent): string {
  switch (event) {
    case 'issued':
      return `a join token for ${node}, fetched by ${address}`;
    case 'enrolled_already':
      return `${node} is enrolled and needs no token (asked by ${address})`;
    case 'refused':
      return `${address} is refused: ${reason}`;
    case 'failed':
      return `nothing for ${address}: ${reason}`;
  }
}

function usage(message: string): CommandError {
  return new CommandError(EXIT.usage, 'usage', message);
}
