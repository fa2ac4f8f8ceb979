import { resolve } from 'node:path';
import type { AccessSelf } from '../contract/access.ts';
import { toBase64 } from '../contract/encoding.ts';
import { adminAnswer } from './admin-client.ts';
import { print } from './answer.ts';
import { meshOf, readContexts, removeContext, writeContext } from './contexts.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { table } from './table.ts';
import { readTokenFile } from './token-file.ts';

interface JsonOption {
  readonly json?: boolean;
}

interface AddOptions {
  readonly controller: string;
  readonly tokenFile?: string;
  readonly clientCert?: string;
  readonly clientKey?: string;
  readonly mesh?: string;
}

const TIMEOUT_MS = 10_000;

/** `meshnet context add NAME`. What cannot be reached is added all the same, and said. */
export async function addContext(name: string, options: JsonOption & AddOptions): Promise<void> {
  const { controller: url, mesh, clientCert, clientKey } = options;
  if ((clientCert === undefined) !== (clientKey === undefined)) {
    throw usage('--client-cert and --client-key belong together: give both');
  }
  const client =
    clientCert === undefined || clientKey === undefined
      ? undefined
      : { cert: resolve(clientCert), key: resolve(clientKey) };
  const token = readTokenFile(options.tokenFile) ?? process.env.MESHNET_ACCESS_TOKEN?.trim();
  const hasToken = token !== undefined && token !== '';
  if (!hasToken && client === undefined) {
    throw usage(
      'no access token: give --token-file FILE or MESHNET_ACCESS_TOKEN; or --client-cert and --client-key',
    );
  }
  writeContext(name, { url, ...(hasToken ? { token } : { mesh }), client });
  const { role, why } = await roleIn(name);
  const what = hasToken ? 'token' : 'certificate';
  const found = role === null ? `, but ${why}` : `: its ${what} has the role ${role}`;
  print(options, { name, url, role }, `context ${name} is ${url}${found}`);
}

async function roleIn(context: string): Promise<{ role: string | null; why?: string }> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const call = { method: 'GET', path: '/v1/whoami', signal } as const;
  try {
    const answer = await adminAnswer({ socket: '', context }, call);
    if (answer.ok) return { role: ((await answer.json()) as AccessSelf).role };
    return { role: null, why: `it answers ${answer.status}` };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return { role: null, why: error.message };
  }
}

/** `meshnet context list`. Shows no token. */
export function listContexts(options: JsonOption): void {
  const contexts = Object.entries(readContexts()).map(([name, context]) => ({
    name,
    url: context.url,
    mesh_id: toBase64(meshOf(context)),
  }));
  const rows = contexts.map(({ name, url, mesh_id }) => [name, url, mesh_id]);
  print(options, { contexts }, table([['NAME', 'CONTROLLER', 'MESH'], ...rows]));
}

/** `meshnet context remove NAME`. Token and certificate stay valid until they are revoked. */
export function forgetContext(name: string, options: JsonOption): void {
  const what = readContexts()[name]?.token === undefined ? 'certificate' : 'token';
  if (!removeContext(name)) {
    throw usage(`there is no context ${name}`);
  }
  print(
    options,
    { name },
    `context ${name} is forgotten; its ${what} is valid until it is revoked`,
  );
}

function usage(message: string): CommandError {
  return new CommandError(EXIT.usage, 'usage', message);
}
