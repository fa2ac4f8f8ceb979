import type { Envelope } from '../contract/envelope.ts';
import { type KeyRecord, openKeyRecord } from '../contract/key-record.ts';
import type { Checked } from '../contract/problems.ts';
import type { CryptoProvider } from '../crypto/provider.ts';

/**
 * Verified key records, so that a config of a thousand members costs a thousand signature checks
 * once and not every epoch. Keeps what the last two configs used, nothing else.
 */
export class RecordCache {
  private readonly crypto: CryptoProvider;
  private present = new Map<string, Checked<KeyRecord>>();
  private before = new Map<string, Checked<KeyRecord>>();

  constructor(crypto: CryptoProvider) {
    this.crypto = crypto;
  }

  /** Called before the records of another config. */
  nextConfig(): void {
    this.before = this.present;
    this.present = new Map();
  }

  open(envelope: Envelope): Checked<KeyRecord> {
    const key = JSON.stringify(envelope); // every byte that decides about the result
    const known = this.present.get(key) ?? this.before.get(key);
    const opened = known ?? openKeyRecord(this.crypto, envelope);
    if (opened.ok) this.present.set(key, opened);
    return opened;
  }
}
