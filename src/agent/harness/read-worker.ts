import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { HARNESSES } from './adapters.ts';
import { none, type Outcome } from './outcome.ts';

/**
 * A thread that reads one result: what harnesses write is large, and may be hostile. Its memory is
 * bounded, and whoever waits for it may stop doing so.
 */

export interface ReadRequest {
  readonly kind: string;
  /** A file, or a folder of results. */
  readonly path: string;
  readonly selector: string | null;
  /** What was read before, as `file` of the answer; that is not read again. */
  readonly known: string | null;
}

export interface ReadAnswer {
  /** Tells one state of one file from another; null if there is none. */
  readonly file: string | null;
  readonly modifiedAt: number;
  /** Null: the file is the known one. */
  readonly outcome: Outcome | null;
}

const MAX_FILE = 128 << 20;

function answer({ kind, path, selector, known }: ReadRequest): ReadAnswer {
  const { adapter, files } = HARNESSES[kind]!;
  const chosen = newest(path, files!);
  if (chosen === undefined) {
    return { file: null, modifiedAt: 0, outcome: none('not_found', `no result in ${path}`) };
  }
  const { O_RDONLY, O_NONBLOCK } = constants;
  const fd = openSync(chosen, O_RDONLY | O_NONBLOCK); // a pipe would make this thread wait
  try {
    const stat = fstatSync(fd);
    const modifiedAt = Math.floor(stat.mtimeMs);
    const file = `${chosen} ${stat.dev}:${stat.ino} ${stat.size} ${stat.mtimeMs}`;
    if (file === known) return { file, modifiedAt, outcome: null };
    if (!stat.isFile()) {
      return { file, modifiedAt, outcome: none('not_found', `${chosen} is no plain file`) };
    }
    if (stat.size > MAX_FILE) {
      const outcome = none('too_large', `${chosen}: more than ${MAX_FILE >> 20} MiB`);
      return { file, modifiedAt, outcome };
    }
    const bytes = new Uint8Array(stat.size);
    let length = 0;
    for (let got = -1; got !== 0 && length < bytes.length; length += got) {
      got = readSync(fd, bytes, length, bytes.length - length, null);
    }
    const outcome = adapter(bytes.subarray(0, length), selector, modifiedAt);
    return { file, modifiedAt, outcome };
  } finally {
    closeSync(fd);
  }
}

/** `path` itself, or the newest fitting file of a folder and those in it. */
function newest(path: string, files: RegExp): string | undefined {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    return statSync(path, { throwIfNoEntry: false }) === undefined ? undefined : path;
  }
  let best: { path: string; modified: number } | undefined;
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !files.test(entry.name)) continue;
    const candidate = join(entry.parentPath, entry.name);
    const modified = statSync(candidate, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (best === undefined || modified > best.modified) best = { path: candidate, modified };
  }
  return best?.path;
}

try {
  parentPort!.postMessage(answer(workerData as ReadRequest));
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException;
  const outcome = none('not_found', code === undefined ? message : `cannot be read (${code})`);
  parentPort!.postMessage({ file: null, modifiedAt: 0, outcome } satisfies ReadAnswer);
}
