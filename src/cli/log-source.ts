import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readKnownController } from '../agent/known-controller.ts';
import { equalBytes, toBase64 } from '../contract/encoding.ts';
import type { EpochDocument } from '../contract/epoch.ts';
import { controllerFingerprint } from '../contract/ids.ts';
import { seriesOf } from '../contract/record/origin.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { logKey } from '../record/checkpoint.ts';
import { type NoteKey, parseVerifierKey } from '../record/note.ts';
import type { ReadFile } from '../record/read-log.ts';
import { type AdminTarget, adminAnswer, adminCall, hasController } from './admin-client.ts';
import { meshOf } from './evaluator.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { memberClient } from './member-client.ts';

/** Where a log is read: a directory, a URL, or else the controller that is administered. */
export interface LogSourceOptions extends AdminTarget {
  readonly mesh?: string;
  /** State directory of the node on this machine: the controller that it knows is asked as that node. */
  readonly member?: string;
}

export interface LogSource {
  readonly read: ReadFile;
  /** 32 bytes: the one mesh whose log this may be. */
  readonly meshId: Uint8Array;
  /** The node of this machine, as which it is read; undefined: as nobody. */
  readonly asNode?: string | undefined;
}

const TIMEOUT_MS = 10_000;

/** Rejects with a `CommandError`: it cannot be reached, or nobody said of which mesh it is. */
export async function logSource(
  where: string | undefined,
  options: LogSourceOptions,
): Promise<LogSource> {
  const { member: node } = options;
  const known = node === undefined ? undefined : readKnownController(node);
  const isHere = where === undefined && (known === undefined || hasController(options));
  if (!isHere && node !== undefined && known !== undefined && isAt(where ?? known, known)) {
    const member = memberClient(known, node);
    const meshId = options.mesh === undefined ? member.meshId : undefined;
    const read: ReadFile = (path) => member.ask((client, seed) => client.getLogFile(seed, path));
    return { read, meshId: meshId ?? meshOf(options.mesh), asNode: member.nodeId };
  }
  if (where === undefined) {
    const { mesh_id } = await adminCall<EpochDocument>(options, 'GET', '/v1/epoch?limit=1');
    return { read: fromController(options), meshId: meshOf(options.mesh ?? mesh_id) };
  }
  const meshId = meshOf(options.mesh);
  return { read: URL.canParse(where) ? overNetwork(where) : inDirectory(where), meshId };
}

/** Whether a URL is of the controller, by its own address or that of its log. */
function isAt(where: string, controller: string): boolean {
  if (!URL.canParse(where)) return false;
  const [url, base] = [new URL(where), new URL(controller)];
  const paths = [base.pathname, `${base.pathname.replace(/\/$/, '')}/log/`];
  return (
    url.origin === base.origin &&
    paths.some((path) => path === url.pathname || path === `${url.pathname}/`)
  );
}

/** The key that signs the log's checkpoints, which must be the mesh's. */
export async function keyOfLog(
  crypto: CryptoProvider,
  { read, meshId }: LogSource,
): Promise<NoteKey> {
  const text = new TextDecoder().decode(await read('key')).trim();
  const key = parseVerifierKey(crypto, text);
  const wrong = (what: string) => new CommandError(EXIT.failed, 'wrong_log', `key: ${what}`);
  if (key?.algorithm !== 'ed25519') throw wrong('there is no verifier key');
  if (!equalBytes(controllerFingerprint(crypto, key.publicKey), meshId)) {
    throw wrong(`it is not the key of mesh ${toBase64(meshId)}`);
  }
  if (seriesOf(meshId, key.name) === undefined) throw wrong('it names another log');
  return logKey(key.name, key.publicKey);
}

function inDirectory(directory: string): ReadFile {
  if (!existsSync(directory)) {
    throw new CommandError(
      EXIT.unreachable,
      'unreachable',
      `${directory}: there is no such directory`,
    );
  }
  return async (path) => {
    try {
      return new Uint8Array(await readFile(join(directory, path)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  };
}

/** `url`: of a log, or of a controller. */
function overNetwork(url: string): ReadFile {
  const base = new URL(url);
  if (base.pathname === '/') base.pathname = '/log/';
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  return async (path) => {
    const target = new URL(path, base);
    let response: Response;
    try {
      response = await fetch(target, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    } catch (error) {
      const message = `${target}: ${(error as Error).message}`;
      throw new CommandError(EXIT.unreachable, 'unreachable', message);
    }
    return found(response.status, `${target}`, new Uint8Array(await response.arrayBuffer()));
  };
}

function fromController(target: AdminTarget): ReadFile {
  return async (path) => {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const answer = await adminAnswer(target, { method: 'GET', path: `/log/${path}`, signal });
    return found(answer.status, path, new Uint8Array(await answer.arrayBuffer()));
  };
}

function found(status: number, what: string, bytes: Uint8Array): Uint8Array | undefined {
  if (status === 200) return bytes;
  if (status === 404) return undefined;
  const hint =
    status === 401 || status === 403 ? ': only members and its own machine may read it' : '';
  throw new CommandError(EXIT.refused, 'refused', `${what}: answered ${status}${hint}`);
}
