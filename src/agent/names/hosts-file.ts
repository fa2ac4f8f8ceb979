import { readFile, realpath, stat } from 'node:fs/promises';
import { replaceFile } from '../../ground/files.ts';
import { withNames } from './hosts-block.ts';

/** Larger ones (bytes) are some other program's database, and not rewritten. */
const MAX_FILE = 4 << 20;
const NONE: ReadonlyMap<string, string> = new Map();

/**
 * Writes the names of the mesh into a hosts file, whole or not at all, and only where they changed.
 * Rejects where the file cannot be read or replaced; then it is as it was.
 */
export async function writeNames(path: string, names: ReadonlyMap<string, string>): Promise<void> {
  const file = await realpath(path); // where it is a link, that stays one
  const { mode, size } = await stat(file);
  if (size > MAX_FILE) throw new Error(`${path}: has more than ${MAX_FILE} bytes`);
  const before = await readFile(file, 'utf8');
  const after = withNames(before, names);
  if (after !== before) await replaceFile(file, after, { mode: mode & 0o777 });
}

/** Takes them out again. */
export function removeNames(path: string): Promise<void> {
  return writeNames(path, NONE);
}
