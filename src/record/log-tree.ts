import {
  HASH_LENGTH,
  leafHash,
  MerkleTree,
  rootOf,
  type Sha256,
  type SubtreeHash,
} from './merkle.ts';
import { hashFromTile, MAX_ENTRY_LENGTH, TILE_WIDTH, type Tile, tileOf } from './tiles.ts';

/** Where a log's hashes lie; append-only. */
export interface HashStorage {
  /** Hashes of the level (in tiles) that are there, in order: at most `count` from `first` on. */
  read(level: number, first: number, count: number): Uint8Array[];
  add(level: number, index: number, hash: Uint8Array): void;
}

/** Grows a tree of hashes as tiles have them: those of the leaves, and of every eighth level above. */
export class LogTree {
  private readonly crypto: Sha256;
  private readonly storage: HashStorage;

  constructor(crypto: Sha256, storage: HashStorage) {
    this.crypto = crypto;
    this.storage = storage;
  }

  /** Adds the leaf of that index, which is the size before. Throws a RangeError if it is too long. */
  append(index: number, content: Uint8Array): void {
    if (content.length > MAX_ENTRY_LENGTH) {
      throw new RangeError(`a leaf of ${content.length} bytes; at most ${MAX_ENTRY_LENGTH}`);
    }
    this.add(0, index, leafHash(this.crypto, content));
  }

  /** Root of the first `size` leaves. */
  root(size: number): Uint8Array {
    return rootOf(this.crypto, size, this.hashesAt(size));
  }

  /** Subtree hashes of the tree of the first `size` leaves: what proofs are made of. */
  hashesAt(size: number): SubtreeHash {
    let last: { readonly name: string; readonly bytes: Uint8Array } | undefined;
    return (subtree) => {
      const tile = tileOf(subtree, size);
      const name = `${tile.level}/${tile.index}`;
      if (last?.name !== name) last = { name, bytes: this.tile(tile) };
      return hashFromTile(this.crypto, subtree, last.bytes);
    };
  }

  /** Bytes of a tile of hashes. Throws a RangeError if the log is not that large. */
  tile({ level, index, width }: Tile & { readonly level: number }): Uint8Array {
    const hashes = this.storage.read(level, index * TILE_WIDTH, width);
    if (hashes.length < width) throw new RangeError(`no tile ${level}/${index} of ${width} hashes`);
    const bytes = new Uint8Array(width * HASH_LENGTH);
    hashes.forEach((hash, i) => {
      bytes.set(hash, i * HASH_LENGTH);
    });
    return bytes;
  }

  private add(level: number, index: number, hash: Uint8Array): void {
    this.storage.add(level, index, hash);
    if ((index + 1) % TILE_WIDTH !== 0) return;
    const full = this.storage.read(level, index + 1 - TILE_WIDTH, TILE_WIDTH);
    this.add(level + 1, Math.floor(index / TILE_WIDTH), new MerkleTree(this.crypto, full).root);
  }
}
