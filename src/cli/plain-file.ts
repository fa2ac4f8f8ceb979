import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';

/** More than certificates, keys, roles and lists of revoked certificates take together, bytes. */
const MAX_LENGTH = 8 << 20;

/** A file that cannot be read, or is none. The message is a reason without the path. */
export class FileFault extends Error {
  override readonly name = 'FileFault';
}

/**
 * The text of a file that is read again and again while a program runs: a plain one, so that nobody has the
 * program wait (a pipe) or read without end (a device). `check` may throw for its mode. Throws a {@link FileFault}.
 */
export function readPlainFile(path: string, check: (stat: Stats) => void = () => {}): string {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw new FileFault(codeOf(error), { cause: error });
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new FileFault('not a plain file');
    if (stat.size > MAX_LENGTH) throw new FileFault(`longer than ${MAX_LENGTH >> 20} MiB`);
    check(stat);
    const content = Buffer.alloc(stat.size);
    let length = 0;
    while (length < content.length) {
      const read = readSync(fd, content, length, content.length - length, null);
      if (read === 0) break;
      length += read;
    }
    return content.toString('utf8', 0, length);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new FileFault(codeOf(error), { cause: error });
  } finally {
    closeSync(fd);
  }
}

const codeOf = (error: unknown) => String((error as NodeJS.ErrnoException).code);
