import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ClientIdentity } from '../agent/controller-fetch.ts';
import { parseAccessToken } from '../contract/access.ts';
import { fromBase64 } from '../contract/encoding.ts';
import { KeyFileError } from '../contract/key-file.ts';
import { isLoopbackHost } from '../contract/loopback-host.ts';
import { ensurePrivateDirectory } from '../ground/directory.ts';
import { privacyFault, replaceFileSync } from '../ground/files.ts';
import { type ClientFiles, readClientFiles } from './client-files.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { didYouMean } from './suggest.ts';

/** A mesh that is administered over the network, with an access token, a client certificate, or both. */
export interface Context {
  readonly url: string;
  /** An access token; it names the mesh, and so whose certificate is believed. */
  readonly token?: string | undefined;
  /** Without a token: the mesh id, base64. */
  readonly mesh?: string | undefined;
  readonly client?: ClientFiles | undefined;
}

/** A context that can be used. */
export interface UsableContext extends Context {
  /** 32 bytes. */
  readonly meshId: Uint8Array;
  /** What the files of `client` hold. */
  readonly identity?: ClientIdentity | undefined;
}

type Contexts = Readonly<Record<string, Context>>;

/** Where they are kept: a file that only its owner may read, for the tokens in it. */
export function contextsFile(): string {
  const configs = process.env.XDG_CONFIG_HOME || join(homedir(), '.config');
  return process.env.MESHNET_CONTEXTS || join(configs, 'meshnet', 'contexts.json');
}

/** Throws a `CommandError` or `KeyFileError` if there is no such context, or it cannot be used. */
export function readContext(name: string): UsableContext {
  const all = readContexts();
  const context = Object.hasOwn(all, name) ? all[name] : undefined;
  if (context === undefined) {
    const meant = didYouMean(name, Object.keys(all));
    const hint = meant === undefined ? ' meshnet context add makes one' : ` Did you mean ${meant}?`;
    throw usage(`there is no context ${name}.${hint}`);
  }
  const { client } = context;
  return {
    ...context,
    meshId: meshOf(context),
    ...(client === undefined ? {} : { identity: readClientFiles(client) }),
  };
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
    const isText = (one: unknown) => typeof one === 'string';
    const isContext = ({ url, token, mesh, client }: Partial<Context>) =>
      isText(url) &&
      isText(token ?? mesh) &&
      (client === undefined ? isText(token) : isText(client.cert) && isText(client.key));
    if (Object.values(contexts).every(isContext)) return contexts as Contexts;
  } catch {
    // not JSON, or not of this shape: said below
  }
  throw new KeyFileError('malformed', `${path}: is not a file of contexts; remove it`);
}

/** Adds a context, or replaces the one of that name. */
export function writeContext(name: string, context: Context): void {
  meshOf(context);
  if (context.client !== undefined) readClientFiles(context.client);
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

/** The mesh of a context, if what is in it may be shown at its URL. */
export function meshOf({ url, token, mesh, client }: Context): Uint8Array {
  const named = token === undefined ? meshNamed(mesh) : meshOfToken(token);
  const { protocol, host } = new URL(url);
  if (protocol === 'https:') return named;
  if (client !== undefined) {
    throw usage(`${url}: client certificates are shown over TLS only: expected an https:// URL`);
  }
  if (!isLoopbackHost(host)) {
    throw usage(`${url}: access tokens are sent over TLS only: expected an https:// URL`);
  }
  return named;
}

function meshOfToken(token: string): Uint8Array {
  const parsed = parseAccessToken(token);
  if (parsed === undefined) {
    throw usage('this is not an access token, which `meshnet access create` makes');
  }
  return parsed.fingerprint;
}

function meshNamed(mesh = ''): Uint8Array {
  const id = fromBase64(mesh);
  if (id?.length === 32) return id;
  throw usage('without an access token, --mesh must be the mesh id: 32 bytes, base64');
}

function usage(message: string): CommandError {
  return new CommandError(EXIT.usage, 'usage', message);
}
