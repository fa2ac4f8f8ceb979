import { constantTimeEqual as equal } from '../crypto/bytes.ts';
import type { CryptoProvider } from '../crypto/provider.ts';

/**
 * Merkle trees of RFC 6962 section 2.1 (the same in RFC 9162): SHA-256, leaves and inner nodes told
 * apart by their first byte, so that no leaf can be taken for a node.
 */
export type Sha256 = Pick<CryptoProvider, 'sha256'>;

/** Bytes of a hash. */
export const HASH_LENGTH = 32;

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** Hash (32 bytes) of a leaf's content. */
export function leafHash({ sha256 }: Sha256, content: Uint8Array): Uint8Array {
  return sha256(LEAF, content);
}

/** Hash (32 bytes) of an inner node over its two children's hashes. */
export function nodeHash({ sha256 }: Sha256, left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(NODE, left, right);
}

/** Root (32 bytes) of the tree without leaves. */
export function emptyRoot({ sha256 }: Sha256): Uint8Array {
  return sha256();
}

/** A whole tree in memory: its root, and inclusion proofs of any leaf. Takes leaf hashes. */
export class MerkleTree {
  private top: Uint8Array;
  /**
   * `levels[0]` are the leaf hashes; each level has the parents of the one below, where a last node
   * without a sibling is carried up as it is. That is the tree of RFC 6962.
   */
  private levels: readonly (readonly Uint8Array[])[];
  private readonly crypto: Sha256;

  /**
   * `before`: another tree. Where the very same hashes (the objects) stand in the same place, what is above
   * them is taken from it: a tree with a few other leaves costs a few hashes.
   */
  constructor(crypto: Sha256, leafHashes: readonly Uint8Array[], before?: MerkleTree) {
    this.crypto = crypto;
    const levels = [leafHashes];
    for (let below = leafHashes; below.length > 1; ) {
      const height = levels.length;
      const [belowBefore, levelBefore] = [before?.levels[height - 1], before?.levels[height]];
      const level: Uint8Array[] = [];
      for (let i = 0; i < below.length; i += 2) {
        const left = below[i]!;
        const right = below[i + 1];
        const isSame = left === belowBefore?.[i] && right === belowBefore[i + 1];
        const known = isSame ? levelBefore?.[i / 2] : undefined;
        level.push(known ?? (right === undefined ? left : nodeHash(crypto, left, right)));
      }
      levels.push(level);
      below = level;
    }
    this.levels = levels;
    this.top = levels.at(-1)![0] ?? emptyRoot(crypto);
  }

  get root(): Uint8Array {
    return this.top;
  }

  /** This tree with other hashes at some places, which it has. Costs the nodes above those. */
  with(replaced: Iterable<readonly [place: number, hash: Uint8Array]>): MerkleTree {
    const next = new MerkleTree(this.crypto, []);
    const levels = this.levels.map((level) => level.slice());
    const places = new Set<number>();
    for (const [place, hash] of replaced) {
      if (!isIndex(place, this.size)) throw new RangeError(`no leaf ${place} of ${this.size}`);
      levels[0]![place] = hash;
      places.add(place);
    }
    let touched = places;
    for (let height = 1; height < levels.length; height++) {
      const below = levels[height - 1]!;
      const parents = new Set<number>();
      for (const place of touched) parents.add(Math.floor(place / 2));
      for (const place of parents) {
        const [left, right] = [below[2 * place]!, below[2 * place + 1]];
        levels[height]![place] = right === undefined ? left : nodeHash(this.crypto, left, right);
      }
      touched = parents;
    }
    next.levels = levels;
    next.top = levels.at(-1)![0] ?? this.top;
    return next;
  }

  /** Number of leaves. */
  get size(): number {
    return this.levels[0]!.length;
  }

  /** Siblings from the leaf at `index` up to the root, RFC 6962 section 2.1.1. */
  inclusionProof(index: number): Uint8Array[] {
    if (!isIndex(index, this.size)) throw new RangeError(`no leaf ${index} of ${this.size}`);
    const proof: Uint8Array[] = [];
    let position = index;
    for (const level of this.levels) {
      const sibling = level[position % 2 === 0 ? position + 1 : position - 1];
      if (sibling !== undefined) proof.push(sibling);
      position = Math.floor(position / 2);
    }
    return proof;
  }
}

/** A complete subtree: the leaves `index * 2^level` up to, but not, `(index + 1) * 2^level`. */
export interface Subtree {
  readonly level: number;
  readonly index: number;
}

/** Hash of a complete subtree of a tree that is not in memory. */
export type SubtreeHash = (subtree: Subtree) => Uint8Array;

/** Root of the first `size` leaves. */
export function rootOf(crypto: Sha256, size: number, hashOf: SubtreeHash): Uint8Array {
  return size === 0 ? emptyRoot(crypto) : rangeHash(crypto, [0, size], hashOf);
}

/** Inclusion proof of leaf `index` in the tree of the first `size` leaves. */
export function inclusionProof(
  crypto: Sha256,
  index: number,
  size: number,
  hashOf: SubtreeHash,
): Uint8Array[] {
  return inclusionRanges(index, size).map((range) => rangeHash(crypto, range, hashOf));
}

/** Proof that the tree of `size` leaves begins with all of the tree of `oldSize` leaves. */
export function consistencyProof(
  crypto: Sha256,
  oldSize: number,
  size: number,
  hashOf: SubtreeHash,
): Uint8Array[] {
  return consistencyRanges(oldSize, size).map((range) => rangeHash(crypto, range, hashOf));
}

/** The complete subtrees that {@link inclusionProof} and {@link consistencyProof} ask for. */
export function subtreesOf(ranges: readonly Range[]): Subtree[] {
  return ranges.flatMap(completeSubtrees);
}

/** Leaves from the first up to, but not, the second: what one hash of a proof covers. */
export type Range = readonly [from: number, to: number];

/** RFC 6962 section 2.1.1, PATH(m, D[n]); from the leaf upwards. */
export function inclusionRanges(index: number, size: number): Range[] {
  if (!isIndex(index, size)) throw new RangeError(`no leaf ${index} of ${size}`);
  const ranges: Range[] = [];
  let [from, to] = [0, size];
  while (to - from > 1) {
    const middle = from + largestPowerBelow(to - from);
    if (index < middle) {
      ranges.unshift([middle, to]);
      to = middle;
    } else {
      ranges.unshift([from, middle]);
      from = middle;
    }
  }
  return ranges;
}

/** RFC 6962 section 2.1.2, PROOF(m, D[n]). Empty for equal sizes and for an empty old tree. */
export function consistencyRanges(oldSize: number, size: number): Range[] {
  if (!isSize(oldSize) || !isSize(size) || oldSize > size) {
    throw new RangeError(`no tree of ${size} leaves extends one of ${oldSize}`);
  }
  if (oldSize === 0 || oldSize === size) return [];
  const ranges: Range[] = [];
  let [from, to] = [0, size];
  while (to !== oldSize) {
    const middle = from + largestPowerBelow(to - from);
    if (oldSize <= middle) {
      ranges.unshift([middle, to]);
      to = middle;
    } else {
      ranges.unshift([from, middle]);
      from = middle;
    }
  }
  // The old tree itself need not be told to who asks how it goes on.
  if (from > 0) ranges.unshift([from, to]);
  return ranges;
}

/** Whether `proof` leads from the leaf hash at `index` to the root of a tree of `size` leaves. */
export function verifyInclusion(
  crypto: Sha256,
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!isIndex(index, size) || !areHashes(proof)) return false;
  // RFC 9162 section 2.1.3.2
  let position = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (position % 2 === 1 || position === last) {
      hash = nodeHash(crypto, sibling, hash);
      while (position % 2 === 0 && position !== 0) [position, last] = [position / 2, half(last)];
    } else {
      hash = nodeHash(crypto, hash, sibling);
    }
    [position, last] = [half(position), half(last)];
  }
  return last === 0 && equal(hash, root);
}

/** Whether `proof` shows that the tree of `size` and `root` begins with that of the old ones. */
export function verifyConsistency(
  crypto: Sha256,
  oldSize: number,
  oldRoot: Uint8Array,
  size: number,
  root: Uint8Array,
  proof: readonly Uint8Array[],
): boolean {
  if (!isSize(oldSize) || !isSize(size) || oldSize > size || !areHashes(proof)) return false;
  if (oldSize === size) return proof.length === 0 && equal(oldRoot, root);
  if (oldSize === 0) return proof.length === 0 && equal(oldRoot, emptyRoot(crypto));
  // RFC 9162 section 2.1.4.2
  const path = isPowerOfTwo(oldSize) ? [oldRoot, ...proof] : proof;
  const [first, ...rest] = path;
  if (first === undefined) return false;
  let position = oldSize - 1;
  let last = size - 1;
  while (position % 2 === 1) [position, last] = [half(position), half(last)];
  let [oldHash, hash] = [first, first];
  for (const sibling of rest) {
    if (last === 0) return false;
    if (position % 2 === 1 || position === last) {
      oldHash = nodeHash(crypto, sibling, oldHash);
      hash = nodeHash(crypto, sibling, hash);
      while (position % 2 === 0 && position !== 0) [position, last] = [position / 2, half(last)];
    } else {
      hash = nodeHash(crypto, hash, sibling);
    }
    [position, last] = [half(position), half(last)];
  }
  return last === 0 && equal(oldHash, oldRoot) && equal(hash, root);
}

/** The complete subtrees that make up a range whose tree is RFC 6962's, from the left. */
function completeSubtrees([from, to]: Range): Subtree[] {
  const subtrees: Subtree[] = [];
  let start = from;
  while (start < to) {
    const width = largestPowerUpTo(to - start);
    subtrees.push({ level: Math.log2(width), index: start / width });
    start += width;
  }
  return subtrees;
}

function rangeHash(crypto: Sha256, range: Range, hashOf: SubtreeHash): Uint8Array {
  return completeSubtrees(range)
    .map(hashOf)
    .reduceRight((right, left) => nodeHash(crypto, left, right));
}

/** Largest power of two that is less than `n`, which is at least 2. */
function largestPowerBelow(n: number): number {
  return largestPowerUpTo(n - 1);
}

function largestPowerUpTo(n: number): number {
  let power = 1;
  while (power * 2 <= n) power *= 2; // sizes go beyond what bit operations can do
  return power;
}

function half(n: number): number {
  return Math.floor(n / 2);
}

function isPowerOfTwo(n: number): boolean {
  return largestPowerUpTo(n) === n;
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function isIndex(value: number, size: number): boolean {
  return isSize(value) && isSize(size) && value < size;
}

function areHashes(proof: readonly Uint8Array[]): boolean {
  return proof.every((hash) => hash.length === HASH_LENGTH);
}
