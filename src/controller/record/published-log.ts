import { logOrigin } from '../../contract/record/origin.ts';
import type { CryptoProvider } from '../../crypto/provider.ts';
import { logKey, signCheckpoint } from '../../record/checkpoint.ts';
import {
  formatSignature,
  type NoteSignature,
  parseNote,
  verifierKeyText,
} from '../../record/note.ts';
import type { LogState, LogStore } from '../store/log-store.ts';

export interface PublishedLogOptions {
  readonly crypto: CryptoProvider;
  readonly store: LogStore;
  readonly meshId: Uint8Array;
  readonly signingSeed: Uint8Array;
}

/** What the log says of itself to others. */
export class PublishedLog {
  private readonly options: PublishedLogOptions;
  private newest:
    | { readonly of: string; readonly checkpoint: string; readonly text: string }
    | undefined;
  private readonly cosignatures = new Map<
    string,
    { readonly text: string; readonly signature: NoteSignature }
  >();

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
   * The signed checkpoint over all that is durable, with the cosignatures that it has. It is made when
   * somebody asks: a signature of Ed25519 is the same every time, so none is lost in a crash, and none
   * was told before its leaves were on the disk.
   */
  async checkpoint(): Promise<string> {
    const { checkpoint, text } = this.signed(await this.options.store.logState());
    const cosigned = [...this.cosignatures.values()].filter((one) => one.text === text);
    return checkpoint + cosigned.map((one) => formatSignature(one.signature)).join('');
  }

  /** The same without cosignatures. */
  async ownCheckpoint(): Promise<string> {
    return this.signed(await this.options.store.logState()).checkpoint;
  }

  private signed({ series, size, root }: LogState): { checkpoint: string; text: string } {
    const { crypto, meshId, signingSeed } = this.options;
    const of = `${series} ${size}`;
    if (this.newest?.of !== of) {
      const origin = logOrigin(meshId, series);
      const checkpoint = signCheckpoint(crypto, signingSeed, { origin, size, root });
      this.newest = { of, checkpoint, text: parseNote(checkpoint)!.text };
    }
    return this.newest;
  }

  /** A witness has cosigned that checkpoint. Of each witness, the last one is kept. */
  keepCosignature(checkpoint: string, signature: NoteSignature): void {
    const { text } = parseNote(checkpoint)!;
    this.cosignatures.set(signature.name, { text, signature });
  }
}
