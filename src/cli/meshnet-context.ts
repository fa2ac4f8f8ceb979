import type { AccessSelf } from '../contract/access.ts';
import { toBase64 } from '../contract/encoding.ts';
import { adminAnswer } from './admin-client.ts';
import { print } from './answer.ts';
import { readContext, readContexts, removeContext, writeContext } from './contexts.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { table } from './table.ts';
import { readTokenFile } from './token-file.ts';

interface JsonOption {
  readonly json?: boolean;
}

const TIMEOUT_MS = 10_000;

/** `meshnet context add NAME`. What cannot be reached is added all the same, and said. */
export async function addContext(
  name: string,
  options: JsonOption & { readonly controller: string; readonly tokenFile?: string },
): Promise<void> {
  const { controller: url } = options;
  const token = readTokenFile(options.tokenFile) ?? process.env.MESHNET_ACCESS_TOKEN?.trim();
  if (token === undefined || token === '') {
    const message = 'no access token: give --token-file FILE or MESHNET_ACCESS_TOKEN';
    throw new CommandError(EXIT.usage, 'usage', message);
  }
  writeContext(name, { url, token });
  const { role, why } = await roleIn(name);
  const found = role === null ? `, but ${why}` : `: its token has the role ${role}`;
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
  const contexts = Object.entries(readContexts()).map(([name, { url }]) => ({
    name,
    url,
    mesh_id: toBase64(readContext(name).meshId),
  }));
  const rows = contexts.map(({ name, url, mesh_id }) => [name, url, mesh_id]);
  print(options, { contexts }, table([['NAME', 'CONTROLLER', 'MESH'], ...rows]));
}

/** `meshnet context remove NAME`. The token stays valid until it is revoked. */
export function forgetContext(name: string, options: JsonOption): void {
  if (!removeContext(name)) {
    throw new CommandError(EXIT.usage, 'usage', `there is no context ${name}`);
  }
  print(options, { name }, `context ${name} is forgotten; its token is valid until it is revoked`);
}
