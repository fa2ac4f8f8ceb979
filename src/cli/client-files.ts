import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { ClientIdentity } from '../agent/controller-fetch.ts';
import { KeyFileError } from '../contract/key-file.ts';
import { privacyFault } from '../ground/files.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { readPlainFile } from './plain-file.ts';

/** Absolute paths of a client certificate and of its private key, both PEM. */
export interface ClientFiles {
  readonly cert: string;
  readonly key: string;
}

/**
 * What the files hold. Throws a `KeyFileError` if others may read the key, and a `CommandError` if they
 * are not what they should be.
 */
export function readClientFiles(files: ClientFiles): ClientIdentity {
  const cert = textOf('--client-cert', files.cert, false);
  const key = textOf('--client-key', files.key, true);
  const parsed = attempt(`--client-cert ${files.cert}: not a certificate in PEM`, () => {
    return new X509Certificate(cert);
  });
  const privateKey = attempt(`--client-key ${files.key}: not a private key in PEM`, () => {
    return createPrivateKey(key);
  });
  if (!parsed.checkPrivateKey(privateKey)) {
    throw usage(`--client-key ${files.key}: not the key of ${files.cert}`);
  }
  return { cert, key };
}

function textOf(option: string, path: string, isSecret: boolean): string {
  try {
    return readPlainFile(path, (stat) => {
      const fault = isSecret ? privacyFault(path, stat) : undefined;
      if (fault !== undefined) throw new KeyFileError('not_private', fault);
    });
  } catch (error) {
    if (error instanceof KeyFileError) throw error;
    throw usage(`${option} ${path}: ${(error as Error).message}`);
  }
}

function attempt<T>(otherwise: string, make: () => T): T {
  try {
    return make();
  } catch {
    throw usage(otherwise); // what OpenSSL says may quote the key
  }
}

const usage = (message: string) => new CommandError(EXIT.usage, 'usage', message);
