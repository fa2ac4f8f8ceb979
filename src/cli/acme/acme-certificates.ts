import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Backoff } from '../../agent/backoff.ts';
import type { AgentClock, RandomNumber } from '../../agent/clock.ts';
import type { ServerCertificate } from '../../controller/own-certificate.ts';
import { ensurePrivateDirectory } from '../../ground/directory.ts';
import { replaceFileSync } from '../../ground/files.ts';
import type { AcmeOrder } from './order.ts';

/** How often the dates are looked at, ms. */
const INTERVAL = 3_600_000;
/** Tries after one that failed; authorities count failures and bar who has too many. */
const FIRST_RETRY = 60_000;
const LONGEST_RETRY = 6 * 3_600_000;

export interface AcmeOptions extends Omit<AcmeOrder, 'accountKey'> {
  /** Where the account's key and the last certificate are kept. */
  readonly place: string;
  readonly newAccountKey: () => Promise<string>;
  readonly order: (order: AcmeOrder) => Promise<ServerCertificate>;
  readonly random: RandomNumber;
}

/** Certificates from an authority, each renewed when a third of its time is left. */
export class AcmeCertificates {
  private readonly options: AcmeOptions;
  private last: ServerCertificate | undefined;

  /** Reads the one of the last run. A kept one that is broken or for other names counts as none. */
  constructor(options: AcmeOptions) {
    this.options = options;
    this.last = this.kept();
  }

  /** The last one, if it is valid still. */
  present(now: number): ServerCertificate | undefined {
    if (this.last === undefined) return undefined;
    return new X509Certificate(this.last.cert).validToDate.getTime() > now ? this.last : undefined;
  }

  /** Calls `apply` with each new certificate and `warn` with each failure, until `signal` aborts. */
  async follow(
    apply: (certificate: ServerCertificate) => void,
    warn: (message: string) => void,
    clock: Pick<AgentClock, 'sleep' | 'wall'>,
    signal: AbortSignal,
  ): Promise<void> {
    const backoff = new Backoff(FIRST_RETRY, LONGEST_RETRY, this.options.random);
    while (!signal.aborted) {
      if (!this.isDue(clock.wall())) {
        await clock.sleep(INTERVAL, signal);
        continue;
      }
      try {
        const made = await this.renew();
        if (signal.aborted) return;
        apply(made);
        backoff.reset();
      } catch (error) {
        const pause = backoff.next();
        const again = `again in ${Math.round(pause / 1000)} s`;
        warn(
          `no certificate from ${this.options.directory}: ${(error as Error).message}; ${again}`,
        );
        await clock.sleep(pause, signal);
      }
    }
  }

  private isDue(now: number): boolean {
    if (this.last === undefined) return true;
    const { validFromDate, validToDate } = new X509Certificate(this.last.cert);
    const [from, to] = [validFromDate.getTime(), validToDate.getTime()];
    return now >= to - (to - from) / 3;
  }

  private async renew(): Promise<ServerCertificate> {
    const { place, newAccountKey, order, random: _, ...asked } = this.options;
    ensurePrivateDirectory(place);
    const account = join(place, 'account.key');
    if (!existsSync(account)) replaceFileSync(account, await newAccountKey());
    const accountKey = readFileSync(account, 'utf8');
    const made = await order({ ...asked, accountKey });
    if (!isFor(made, asked.names)) throw new Error('the certificate is not what was asked for');
    // Key and certificate in one file: never one without the other.
    replaceFileSync(this.file, `${made.key.trim()}\n${made.cert.trim()}\n`);
    this.last = made;
    return made;
  }

  private get file(): string {
    return join(this.options.place, 'certificate.pem');
  }

  private kept(): ServerCertificate | undefined {
    if (!existsSync(this.file)) return undefined;
    const text = readFileSync(this.file, 'utf8');
    const start = text.indexOf('-----BEGIN CERTIFICATE-----');
    if (start < 0) return undefined;
    const found = { key: text.slice(0, start), cert: text.slice(start) };
    return isFor(found, this.options.names) ? found : undefined;
  }
}

function isFor({ key, cert }: ServerCertificate, names: readonly string[]): boolean {
  try {
    const parsed = new X509Certificate(cert);
    return (
      names.every((name) => parsed.checkHost(name) !== undefined) &&
      parsed.checkPrivateKey(createPrivateKey(key))
    );
  } catch {
    return false;
  }
}
