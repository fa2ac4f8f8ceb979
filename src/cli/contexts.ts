import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseAccessToken } from '../contract/access.ts';
import { KeyFileError } from '../contract/key-file.ts';
import { isLoopbackHost } from '../contract/loopback-host.ts';
import { ensurePrivateDirectory } from '../ground/directory.ts';
import { privacyFault, replaceFileSync } from '../ground/files.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { didYouMean } from './suggest.ts';

/** A mesh that is administered over the network. */
export interface Context {
  readonly url: string;
  /** An access token; it names the mesh, and so whose certificate is believed. */
  readonly token: string;
}

type Contexts = Readonly<Record<string, Context>>;

/** Where they are kept: a file that only its owner may read, for the tokens in it. */
export function contextsFile(): string {
  const configs = process.env.XDG_CONFIG_HOME || join(homedir(), '.config');
  return process.env.MESHNET_CONTEXTS || join(configs, 'meshnet', 'contexts.json');
}

/** `meshId`: 32 bytes. Rejects with a `CommandError` if there is no such context, or it cannot be used. */
export function readContext(name: string): Context & { readonly meshId: Uint8Array } {
  const all = readContexts();
  const context = Object.hasOwn(all, name) ? all[name] : undefined;
  if (context === undefined) {
    const meant = didYouMean(name, Object.keys(all));
    const hint = meant === undefined ? ' meshnet context add makes one' : ` Did you mean ${meant}?`;
    throw usage(`there is no context ${name}.${hint}`);
  }
  return { ...context, meshId: checked(context.url, context.token) };
}

/** All of them, by name. Throws a `KeyFileError` if the file is not private or not ours. */
export function readContexts(): Contexts {
  const path = contextsFile();
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return {};
    throw new KeyFileError('io', `${path}: cannot be opened (${code})`, { cause: error });
  }
  try {
    const fault = privacyFault(path, fstatSync(fd));
    if (fault !== undefined) throw new KeyFileError('not_private', fault);
    return contextsIn(readFileSync(fd, 'utf8'), path);
  } finally {
    closeSync(fd);
  }
}

/** What JSON.parse says would quote a token. */
function contextsIn(text: string, path: string): Contexts {
  try {
    const { contexts } = JSON.parse(text) as { contexts: Record<string, Partial<Context>> };
    const isContext = ({ url, token }: Partial<Context>) =>
      typeof url === 'string' && typeof token === 'string';
    if (Object.values(contexts).every(isContext)) return contexts as Contexts;
  } catch {
    // not JSON, or not of this shape: said below
  }
  throw new KeyFileError('malformed', `${path}: is not a file of contexts; remove it`);
}

/** Adds a context, or replaces the one of that name. */
export function writeContext(name: string, context: Context): void {
  checked(context.url, context.token);
  write({ ...readContexts(), [name]: context });
}

/** False: there was none. */
export function removeContext(name: string): boolean {
  const { [name]: gone, ...others } = readContexts();
  if (gone !== undefined) write(others);
  return gone !== undefined;
}

function write(contexts: Contexts): void {
  const path = contextsFile();
  ensurePrivateDirectory(dirname(path));
  replaceFileSync(path, `${JSON.stringify({ contexts }, null, 2)}\n`);
}

/** The mesh that a token is for, if it may be sent to that URL. */
function checked(url: string, token: string): Uint8Array {
  const parsed = parseAccessToken(token);
  if (parsed === undefined) {
    throw usage('this is not an access token, which `meshnet access create` makes');
  }
  const { protocol, host } = new URL(url);
  if (protocol !== 'https:' && !isLoopbackHost(host)) {
    throw usage(`${url}: access tokens are sent over TLS only: expected an https:// URL`);
  }
  return parsed.fingerprint;
}

function usage(message: string): CommandError {
  return new CommandError(EXIT.usage, 'usage', message);
}
