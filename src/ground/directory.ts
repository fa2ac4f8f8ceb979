import { chmodSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { POSIX } from './files.ts';

/** The mode with which the root of a new tmpfs comes: open to all, with this bit. */
const STICKY = 0o1000;

/** A directory that must not be used. The message says what is wrong and what to do. */
export class DirectoryError extends Error {
  override readonly name = 'DirectoryError';
}

/**
 * Makes a directory of our own (mode 0700), or checks one that is there: a real directory and no link,
 * owned by this user, in which nobody else may make files. Keys and state lie in it, and whoever could
 * put a link there would have us write elsewhere. Throws a {@link DirectoryError}.
 */
export function ensurePrivateDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'EEXIST' || code === 'ENOTDIR' ? 'is not a directory' : `${code}`;
    throw new DirectoryError(`${path}: cannot be made (${reason})`, { cause: error });
  }
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) {
    throw new DirectoryError(`${path}: is a symbolic link; name the directory itself`);
  }
  if (!stat.isDirectory()) throw new DirectoryError(`${path}: is not a directory`);
  if (!POSIX) return;
  const uid = process.geteuid?.();
  if (uid !== undefined && stat.uid !== uid) {
    throw new DirectoryError(
      `${path}: belongs to user ${stat.uid}, and this is user ${uid}; run: chown ${uid} ${path}`,
    );
  }
  if ((stat.mode & 0o022) === 0) return;
  if ((stat.mode & STICKY) !== 0 && readdirSync(path).length === 0) {
    chmodSync(path, 0o700); // ours, and nobody has put anything there
    return;
  }
  const mode = (stat.mode & 0o7777).toString(8).padStart(4, '0');
  throw new DirectoryError(`${path}: others may write here (mode ${mode}), run: chmod 700 ${path}`);
}
