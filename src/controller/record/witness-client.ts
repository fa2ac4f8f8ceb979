import type { CryptoProvider } from '../../crypto/provider.ts';
import { type NoteKey, parseNote, verifyNote } from '../../record/note.ts';
import {
  encodeWitnessRequest,
  parseCosignatures,
  parseKnownSize,
  SIZE_MEDIA_TYPE,
} from '../../record/witness-request.ts';
import type { LogStore } from '../store/log-store.ts';
import type { PublishedLog } from './published-log.ts';

/** Somebody who cosigns what a log says, and never two stories (C2SP tlog-witness). */
export interface Witness {
  /** `add-checkpoint` is asked below it. */
  readonly url: string;
  /** Of cosignatures. */
  readonly key: NoteKey;
}

export interface WitnessClientOptions {
  readonly crypto: CryptoProvider;
  readonly store: LogStore;
  readonly log: PublishedLog;
  readonly fetch: typeof fetch;
}

const TIMEOUT_MS = 5000;
const MOST_BYTES = 65_536;

/** Asks one witness to cosign the newest checkpoint. */
export class WitnessClient {
  readonly witness: Witness;
  private readonly options: WitnessClientOptions;
  /** Leaves of what it cosigned last, as far as is known. */
  private known = 0;

  constructor(witness: Witness, options: WitnessClientOptions) {
    this.witness = witness;
    this.options = options;
  }

  /**
   * Leaves that it has cosigned. Rejects if the witness does not answer, or refuses: then it has seen
   * another log; and if it has forgotten what it cosigned, for then it could cosign another.
   */
  async ask(): Promise<number> {
    const { log } = this.options;
    const checkpoint = await log.checkpoint();
    let answer = await this.post(checkpoint);
    if (answer.status === 409 && answer.size !== undefined) {
      if (answer.size < this.known) throw this.forgetful(answer.size);
      this.known = answer.size; // it remembers what this process has forgotten
      answer = await this.post(checkpoint);
    }
    if (answer.status !== 200)
      throw this.failure(`it answers ${answer.status}: ${answer.text.trim()}`);
    const signatures = parseCosignatures(answer.text);
    const note = parseNote(checkpoint)!;
    const { crypto } = this.options;
    const own = signatures?.find(
      (one) => verifyNote(crypto, { ...note, signatures: [one] }, this.witness.key) !== undefined,
    );
    if (own === undefined) throw this.failure('its answer has no cosignature of its key');
    this.known = sizeOf(checkpoint);
    log.keepCosignature(checkpoint, own);
    return this.known;
  }

  private async post(checkpoint: string): Promise<{
    readonly status: number;
    readonly text: string;
    readonly size?: number | undefined;
  }> {
    const { store, fetch } = this.options;
    const size = sizeOf(checkpoint);
    if (this.known > size) {
      const failure = this.failure(`it has cosigned ${this.known} leaves, and the log has ${size}`);
      this.known = 0; // it is asked anew the next time
      throw failure;
    }
    const proof = await store.consistencyProof(this.known, size);
    const body = encodeWitnessRequest({ oldSize: this.known, proof, checkpoint });
    const url = `${this.witness.url.replace(/\/$/, '')}/add-checkpoint`;
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(url, { method: 'POST', body, redirect: 'error', signal });
    const text = await limitedText(response);
    const isSize = response.headers.get('content-type')?.startsWith(SIZE_MEDIA_TYPE) === true;
    return { status: response.status, text, ...(isSize ? { size: parseKnownSize(text) } : {}) };
  }

  private forgetful(size: number): Error {
    return this.failure(
      `it cosigned ${this.known} leaves, and knows of ${size} now: its state came from a backup. ` +
        'It counts again with another key, without its witness.key and cosigned.json',
    );
  }

  private failure(what: string): Error {
    return new Error(`witness ${this.witness.key.name}: ${what}`);
  }
}

function sizeOf(checkpoint: string): number {
  return Number(checkpoint.split('\n', 2)[1]);
}

async function limitedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MOST_BYTES) throw new Error(`an answer of more than ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
