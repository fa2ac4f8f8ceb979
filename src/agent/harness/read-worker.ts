import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { HARNESSES } from './adapters.ts';
import { fileState } from './newest-file.ts';
import { none, type Outcome } from './outcome.ts';

/**
 * A thread that reads one result: what harnesses write is large, and may be hostile. Its memory is
 * bounded, and whoever waits for it may stop doing so.
 */

export interface ReadRequest {
  readonly kind: string;
  readonly path: string;
  readonly selector: string | null;
}

export interface ReadAnswer {
  /** Of the file as it was read ({@link fileState}); null if there is none. */
  readonly state: string | null;
  /** Of the file, ms since 1970. */
  readonly modifiedAt: number;
  readonly outcome: Outcome;
}

const MAX_FILE = 128 << 20;

function answer({ kind, path, selector }: ReadRequest): ReadAnswer {
  const { O_RDONLY, O_NONBLOCK } = constants;
  const fd = openSync(path, O_RDONLY | O_NONBLOCK); // a pipe would make this thread wait
  try {
    const stats = fstatSync(fd);
    const modifiedAt = Math.floor(stats.mtimeMs);
    const state = fileState(path, stats);
    if (!stats.isFile()) {
      return { state, modifiedAt, outcome: none('not_found', `${path} is no plain file`) };
    }
    if (stats.size > MAX_FILE) {
      const outcome = none('too_large', `${path}: more than ${MAX_FILE >> 20} MiB`);
      return { state, modifiedAt, outcome };
    }
    const bytes = new Uint8Array(stats.size);
    let length = 0;
    for (let got = -1; got !== 0 && length < bytes.length; length += got) {
      got = readSync(fd, bytes, length, bytes.length - length, null);
    }
    const { adapter } = HARNESSES[kind]!;
    return { state, modifiedAt, outcome: adapter(bytes.subarray(0, length), selector, modifiedAt) };
  } finally {
    closeSync(fd);
  }
}

try {
  parentPort!.postMessage(answer(workerData as ReadRequest));
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException;
  const outcome = none('not_found', code === undefined ? message : `cannot be read (${code})`);
  parentPort!.postMessage({ state: null, modifiedAt: 0, outcome } satisfies ReadAnswer);
}
