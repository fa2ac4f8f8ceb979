import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { readJsonFile, replaceFileSync } from './files.ts';

/** Somebody else works in the directory. The message names who. */
export class LockedError extends Error {
  override readonly name = 'LockedError';
}

export interface DirectoryLock {
  release(): void;
}

/**
 * Takes a directory for this process. The lock is the kernel's, held by way of an SQLite file: it is
 * gone with the process, however that ends, so there is no stale one to be judged. Who has it stands
 * in `lock.holder`. Throws a {@link LockedError} if it is taken.
 */
export function lockDirectory(path: string, program: string): DirectoryLock {
  const database = new DatabaseSync(join(path, 'lock'), { timeout: 0 });
  const holderFile = join(path, 'lock.holder');
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!/locked|busy/i.test(String(error))) throw error;
    throw new LockedError(`${path}: is in use by ${holder(holderFile)}`, { cause: error });
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
