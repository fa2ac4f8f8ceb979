import { closeSync, openSync, readSync } from 'node:fs';
import { CommandError, EXIT } from './exit-codes.ts';

/** More than any join token is long, bytes. */
const MAX_LENGTH = 1024;

/** The text of a file with a join token; undefined without a file, or if there is nothing in it. */
export function readTokenFile(path: string | undefined): string | undefined {
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
    throw new CommandError(EXIT.usage, 'usage', `--token-file ${path}: ${code}`);
  }
}
