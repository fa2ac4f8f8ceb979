import { logOrigin } from '../../contract/record/origin.ts';
import type { CryptoProvider } from '../../crypto/provider.ts';
import { logKey, signCheckpoint } from '../../record/checkpoint.ts';
import { verifierKeyText } from '../../record/note.ts';
import type { LogStore } from '../store/log-store.ts';

export interface PublishedLogOptions {
  readonly crypto: CryptoProvider;
  readonly store: LogStore;
  readonly meshId: Uint8Array;
  readonly signingSeed: Uint8Array;
}

/** What the log says of itself to others. */
export class PublishedLog {
  private readonly options: PublishedLogOptions;
  private newest: { readonly of: string; readonly checkpoint: string } | undefined;

  constructor(options: PublishedLogOptions) {
    this.options = options;
  }

  /** How tools are told the key that signs its checkpoints. */
  async verifierKey(): Promise<string> {
    const { crypto, store, meshId, signingSeed } = this.options;
    const { series } = await store.logState();
    const key = logKey(logOrigin(meshId, series), crypto.ed25519Public(signingSeed));
    return verifierKeyText(crypto, key);
  }

  /**
   * The signed checkpoint over all that is durable. It is made when somebody asks: a signature of
   * Ed25519 is the same every time, so none is lost in a crash, and none was told before its leaves
   * were on the disk.
   */
  async checkpoint(): Promise<string> {
    const { crypto, store, meshId, signingSeed } = this.options;
    const { series, size, root } = await store.logState();
    const of = `${series} ${size}`;
    if (this.newest?.of !== of) {
      const origin = logOrigin(meshId, series);
      this.newest = { of, checkpoint: signCheckpoint(crypto, signingSeed, { origin, size, root }) };
    }
    return this.newest.checkpoint;
  }
}
