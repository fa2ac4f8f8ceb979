import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { AgentClock } from '../agent/clock.ts';
import type { ServerCertificate } from '../controller/own-certificate.ts';
import { followFiles } from './follow-files.ts';
import { readPlainFile } from './plain-file.ts';

/** A file that holds no certificate or key, or two that do not belong together. */
export class TlsFileError extends Error {
  override readonly name = 'TlsFileError';
}

/** The certificate (PEM, its own first) and the private key that an operator keeps in two files. */
export class TlsFiles {
  private readonly certPath: string;
  private readonly keyPath: string;
  private last: ServerCertificate;

  /** Reads them. Throws a `TlsFileError` that names the option and what is wrong. */
  constructor(certPath: string, keyPath: string) {
    this.certPath = certPath;
    this.keyPath = keyPath;
    this.last = this.read();
  }

  get certificate(): ServerCertificate {
    return this.last;
  }

  /** The new ones if they have changed; throws, and stays with the old, while they are not right. */
  changed(): ServerCertificate | undefined {
    const found = this.read();
    if (found.cert === this.last.cert && found.key === this.last.key) return undefined;
    this.last = found;
    return found;
  }

  /** Calls `apply` with each new certificate and `warn` once for each fault, until `signal` aborts. */
  follow(
    apply: (certificate: ServerCertificate) => void,
    warn: (message: string) => void,
    clock: Pick<AgentClock, 'sleep'>,
    signal: AbortSignal,
  ): Promise<void> {
    const look = () => {
      const found = this.changed();
      if (found !== undefined) apply(found);
    };
    const stays = 'the certificate before it stays in use';
    return followFiles(look, (message) => warn(`${message}; ${stays}`), clock, signal);
  }

  private read(): ServerCertificate {
    const cert = textOf('--tls-cert', this.certPath);
    const key = textOf('--tls-key', this.keyPath);
    const parsed = attempt(`--tls-cert ${this.certPath}: not a certificate in PEM`, () => {
      return new X509Certificate(cert);
    });
    const privateKey = attempt(`--tls-key ${this.keyPath}: not a private key in PEM`, () => {
      return createPrivateKey(key);
    });
    if (!parsed.checkPrivateKey(privateKey)) {
      throw new TlsFileError(`--tls-key ${this.keyPath}: not the key of ${this.certPath}`);
    }
    // What follows the first certificate, and what this machine's TLS does not take: a key that is too short, say.
    attempt(`--tls-cert ${this.certPath}: no chain of certificates that TLS can serve`, () => {
      return createSecureContext({ cert, key });
    });
    return { cert, key };
  }
}

function textOf(option: string, path: string): string {
  try {
    return readPlainFile(path);
  } catch (error) {
    throw new TlsFileError(`${option} ${path}: ${(error as Error).message}`);
  }
}

function attempt<T>(otherwise: string, make: () => T): T {
  try {
    return make();
  } catch {
    throw new TlsFileError(otherwise); // what OpenSSL says may quote the key
  }
}
