import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { readJsonFile, replaceFileSync } from './files.ts';

/** Somebody else works there. The message names who. */
export class LockedError extends Error {
  override readonly name = 'LockedError';
}

export interface Lock {
  release(): void;
}

export interface LockOptions {
  /** Who takes it, for others to be told. */
  readonly program: string;
  /** How long (ms) to wait for whoever has it; this thread waits, too. Default 0. */
  readonly waitMs?: number;
}

/** Of several who try at the same moment one must get it: they are in each other's way this long, ms. */
const ATTEMPT_MS = 200;

/** Takes a directory for this process. Throws a {@link LockedError} if it is taken. */
export function lockDirectory(path: string, options: LockOptions): Lock {
  return lock(path, join(path, 'lock'), options);
}

/** Takes a file for this process, by way of a lock file beside it. Throws a {@link LockedError}. */
export function lockFile(path: string, options: LockOptions): Lock {
  return lock(path, `${path}.lock`, options);
}

/**
 * The lock is the kernel's, held by way of an SQLite file: it is gone with the process, however that
 * ends, so there is no stale one to be judged. Who has it stands in `.holder` beside it.
 */
function lock(what: string, file: string, { program, waitMs = 0 }: LockOptions): Lock {
  const { O_WRONLY, O_CREAT, O_NOFOLLOW } = constants;
  closeSync(openSync(file, O_WRONLY | O_CREAT | O_NOFOLLOW, 0o600)); // SQLite would make it by the umask
  const database = new DatabaseSync(file, { timeout: Math.max(waitMs, ATTEMPT_MS) });
  const holderFile = `${file}.holder`;
  try {
    // The transaction is the lock. (Its exclusive mode would make those who wait hold on to what they
    // have got, and so wait for each other.)
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!/locked|busy/i.test(String(error))) throw error;
    throw new LockedError(`${what}: is in use by ${holder(holderFile)}`, { cause: error });
  }
  const since = new Date().toISOString();
  replaceFileSync(holderFile, `${JSON.stringify({ program, pid: process.pid, since })}\n`, {
    durable: false,
  });
  return { release: () => database.close() };
}

function holder(file: string): string {
  try {
    const { program, pid, since } = readJsonFile(file) as Record<string, unknown>;
    return `${String(program)}, process ${Number(pid)}, since ${String(since)}`;
  } catch {
    return 'another process';
  }
}
