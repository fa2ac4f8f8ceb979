import { toBase64Url } from '../contract/encoding.ts';
import { type Chunk, chunksOf } from '../contract/epoch/chunks.ts';
import type { HeaderDocument } from '../contract/epoch/header.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { Decision, Epoch, EpochHeader } from './epoch.ts';
import { epochHeaderHash } from './epoch-headers.ts';

/** What is worked out of an epoch's header once, for everybody who asks. */
export interface EpochView {
  readonly epoch: Epoch;
  readonly header: EpochHeader;
  readonly document: HeaderDocument;
  /** Also on nodes that are no members. */
  readonly decisions: ReadonlyMap<string, Decision>;
  /** Name of the header, 32 bytes. */
  readonly hash: Uint8Array;
  /** Place of each member in the order of ids. */
  readonly places: ReadonlyMap<string, number>;
  /** The membership in pieces; worked out when somebody needs them. */
  readonly chunks: () => readonly Chunk[];
}

/** Keeps the view of the newest epoch that was asked for, and the pieces of the one before it. */
export class EpochViews {
  private readonly crypto: CryptoProvider;
  private newest: EpochView | undefined;
  private pieces = new Map<string, Uint8Array>();
  private piecesBefore = new Map<string, Uint8Array>();

  constructor(crypto: CryptoProvider) {
    this.crypto = crypto;
  }

  /** Undefined for an epoch without a header. */
  of(epoch: Epoch): EpochView | undefined {
    const { header } = epoch;
    if (header === undefined) return undefined;
    if (this.newest?.header === header) return this.newest;
    if (this.pieces.size > 0) this.piecesBefore = this.pieces;
    this.pieces = new Map();
    let chunks: readonly Chunk[] | undefined;
    this.newest = {
      epoch,
      header,
      document: JSON.parse(Buffer.from(header.envelope.payload, 'base64').toString()),
      hash: epochHeaderHash(this.crypto, header),
      decisions: new Map(epoch.decisions.map((one) => [one.nodeId, one])),
      places: new Map(header.members.map((entry, i) => [entry.nodeId, i])),
      chunks: () => {
        chunks ??= chunksOf(this.crypto, header.members);
        if (this.newest?.header === header) {
          for (const { name, bytes } of chunks) this.pieces.set(toBase64Url(name), bytes);
        }
        return chunks;
      },
    };
    return this.newest;
  }

  /** The piece of a membership with this name (base64url); undefined if it is not kept any more. */
  piece(name: string): Uint8Array | undefined {
    return this.pieces.get(name) ?? this.piecesBefore.get(name);
  }
}
