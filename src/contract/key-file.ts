import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { privacyFault, syncDirectory, writeWholeSync } from '../ground/files.ts';
import { fromBase64, toBase64 } from './encoding.ts';

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** A key file that must not be used. The message says what to do and never shows the content. */
export class KeyFileError extends Error {
  readonly code: 'missing' | 'not_private' | 'malformed' | 'exists' | 'io';

  constructor(code: KeyFileError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'KeyFileError';
    this.code = code;
  }
}

/**
 * Reads a private key (32 bytes, base64 on one line, as `wg genkey` writes it). Refuses a file that
 * anybody but its owner may read or write, that belongs to someone else, or that is not a plain
 * file. Checked on the open descriptor, so nobody can swap the file in between.
 */
export function readKeyFile(path: string): Uint8Array {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') throw new KeyFileError('missing', `${path}: no such key file`);
    throw new KeyFileError('io', `${path}: cannot be opened (${code})`, { cause: error });
  }
  try {
    const fault = privacyFault(path, fstatSync(fd));
    if (fault !== undefined) throw new KeyFileError('not_private', fault);
    const key = fromBase64(readFileSync(fd, 'latin1').trim(), 32);
    if (!key) throw new KeyFileError('malformed', `${path}: is not 32 bytes in base64`);
    return key;
  } finally {
    closeSync(fd);
  }
}

/** Writes a new key file, mode 0600, on the disk when this returns. Never overwrites one. */
export function writeKeyFile(path: string, key: Uint8Array): void {
  let fd: number;
  try {
    fd = openSync(path, NEW_FILE, 0o600);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EEXIST') {
      throw new KeyFileError('exists', `${path}: exists and is not overwritten`);
    }
    throw new KeyFileError('io', `${path}: cannot be created (${code})`, { cause: error });
  }
  try {
    fchmodSync(fd, 0o600); // an inherited umask can only have taken bits away; say it anyway
    writeWholeSync(fd, `${toBase64(key)}\n`);
    fsyncSync(fd);
  } catch (error) {
    rmSync(path, { force: true }); // half a key is none, and would be in the way
    throw error;
  } finally {
    closeSync(fd);
  }
  syncDirectory(dirname(path));
}
