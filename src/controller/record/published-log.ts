import { toBase64 } from '../../contract/encoding.ts';
import type { HeaderLog } from '../../contract/epoch/header.ts';
import { openMeshCheckpoint } from '../../contract/record/mesh-checkpoint.ts';
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

  /**
   * The same without cosignatures, and that it begins with the log of `before`, a checkpoint that was signed
   * earlier: in a log of another name nothing does.
   */
  async extending(before: string | undefined): Promise<HeaderLog> {
    const { crypto, store, meshId, signingSeed } = this.options;
    const state = await store.logState();
    const { checkpoint } = this.signed(state);
    const controllerKey = crypto.ed25519Public(signingSeed);
    const earlier = before && openMeshCheckpoint(crypto, { meshId, controllerKey }, before);
    if (!earlier || earlier.series !== state.series) return { checkpoint, proof: [] };
    const proof = await store.consistencyProof(earlier.size, state.size);
    return { checkpoint, proof: proof.map(toBase64) };
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
