import { closeSync, openSync, readSync } from 'node:fs';
import { CommandError, EXIT } from './exit-codes.ts';

/** More than any token is long, bytes. */
const MAX_LENGTH = 4096;

/**
 * The text of a file with a token; undefined without a file, or if there is nothing in it.
 *
 * @param option that names the file
 */
export function readTokenFile(
  path: string | undefined,
  option = '--token-file',
): string | undefined {
  if (path === undefined) return undefined;
  const content = Buffer.alloc(MAX_LENGTH);
  try {
    const fd = openSync(path, 'r');
    try {
      const text = content.toString('utf8', 0, readSync(fd, content)).trim();
      return text === '' ? undefined : text;
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CommandError(EXIT.usage, 'usage', `${option} ${path}: ${code}`);
  }
}
