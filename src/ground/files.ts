import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Files that are replaced whole: after a crash, a full disk or an error at any moment there is the old
 * content or the new one, never a part of either. Every durable file of every program goes through here.
 */

/** Elsewhere directories cannot be synced, and Node makes up modes and owners. */
export const POSIX = process.platform !== 'win32';

/** A new file of our own beside the one that it will replace; nobody's link is followed. */
const FRESH = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

const PRIVATE = 0o600;

export interface ReplaceOptions {
  /** Default 0600; another is set whatever the umask says. */
  readonly mode?: number;
  /** On the disk when it returns. Default true; false for what may be lost in a power cut. */
  readonly durable?: boolean;
}

/** Replaces a file, or throws and leaves the old one as it was. */
export function replaceFileSync(
  path: string,
  content: string | Uint8Array,
  { mode = PRIVATE, durable = true }: ReplaceOptions = {},
): void {
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true }); // of an attempt that was cut off
  const fd = openSync(temporary, FRESH, mode);
  try {
    if (mode !== PRIVATE) fchmodSync(fd, mode);
    writeWholeSync(fd, content);
    if (durable) fsyncSync(fd);
  } catch (error) {
    closeSync(fd);
    rmSync(temporary, { force: true });
    throw error;
  }
  closeSync(fd);
  renameSync(temporary, path);
  if (durable) syncDirectory(dirname(path));
}

/** Writes all of it: a nearly full disk takes a part and says so only in the count. */
export function writeWholeSync(fd: number, content: string | Uint8Array): void {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}

/**
 * Replacements that wait for the disk without this thread: one at a time in the whole process, so that
 * a disk that hangs holds one thread of the pool and not all of them.
 */
let disk: Promise<unknown> = Promise.resolve();

/** {@link replaceFileSync} without making this thread wait. */
export function replaceFile(
  path: string,
  content: string | Uint8Array,
  options: ReplaceOptions = {},
): Promise<void> {
  const turn = disk.then(() => replace(path, content, options));
  disk = turn.catch(() => {});
  return turn;
}

async function replace(
  path: string,
  content: string | Uint8Array,
  { mode = PRIVATE, durable = true }: ReplaceOptions,
): Promise<void> {
  const temporary = `${path}.new`;
  await rm(temporary, { force: true });
  const file = await open(temporary, FRESH, mode);
  try {
    if (mode !== PRIVATE) await file.chmod(mode);
    await file.writeFile(content);
    if (durable) await file.sync();
    await file.close();
  } catch (error) {
    await file.close().catch(() => {});
    await rm(temporary, { force: true });
    throw error;
  }
  await rename(temporary, path);
  if (!durable || !POSIX) return;
  const directory = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Makes a file's creation or rename last. */
export function syncDirectory(path: string): void {
  if (!POSIX) return;
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Undefined if there is no such file. Throws if it is not JSON: guessing would undo promises. */
export function readJsonFile(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${path}: is not JSON; restore it from a backup`);
  }
}

/**
 * Why an opened file must not hold secrets, in a sentence that says what to do; undefined if it may: a
 * plain file of this user's that nobody else may read or write.
 */
export function privacyFault(path: string, stat: Stats): string | undefined {
  if (!stat.isFile()) return `${path}: is not a plain file`;
  if (!POSIX) return undefined;
  if ((stat.mode & 0o077) !== 0) {
    const mode = (stat.mode & 0o777).toString(8).padStart(4, '0');
    return `${path}: mode is ${mode}, run: chmod 600 ${path}`;
  }
  const uid = process.geteuid?.();
  if (uid !== undefined && stat.uid !== uid) {
    return `${path}: belongs to user ${stat.uid}, and this is user ${uid}`;
  }
  return undefined;
}
