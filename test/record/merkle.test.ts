import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nodeProvider as crypto } from '../../src/crypto/node.ts';
import {
  consistencyProof,
  inclusionProof,
  leafHash,
  MerkleTree,
  nodeHash,
  rootOf,
  type SubtreeHash,
  verifyConsistency,
  verifyInclusion,
} from '../../src/record/merkle.ts';

/** RFC 6962 section 2.1, as it is written there. */
function definedRoot(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 0) return crypto.sha256();
  if (hashes.length === 1) return hashes[0]!;
  let half = 1;
  while (half * 2 < hashes.length) half *= 2;
  return nodeHash(crypto, definedRoot(hashes.slice(0, half)), definedRoot(hashes.slice(half)));
}

const leaves = Array.from({ length: 300 }, (_, i) => leafHash(crypto, Uint8Array.of(i, i >> 8)));
const rootAt = (size: number): Uint8Array => definedRoot(leaves.slice(0, size));
const subtree: SubtreeHash = ({ level, index }) =>
  definedRoot(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level));

/** One leaf is left, so that there is a next tree to each. */
const size = fc.integer({ min: 1, max: leaves.length - 1 });
const sizeAndIndex = size.chain((n) => fc.tuple(fc.constant(n), fc.nat({ max: n - 1 })));
const twoSizes = fc
  .tuple(fc.nat({ max: leaves.length }), size)
  .map(([a, b]) => [a, b].sort(ascending));
const ascending = (a: number, b: number): number => a - b;

/** Every proof that differs from `proof` in one step: one bit, one hash missing, one too many. */
function* mutations(proof: readonly Uint8Array[]): Generator<Uint8Array[]> {
  for (let i = 0; i < proof.length; i++) {
    const changed = new Uint8Array(proof[i]!);
    changed[i % 32]! ^= 1;
    yield proof.with(i, changed);
    yield proof.toSpliced(i, 1);
    yield proof.with(i, changed.slice(1));
  }
  yield [...proof, leaves[0]!];
}

test('a tree has the root that the standard defines, in memory as from its subtrees', () => {
  for (let n = 0; n <= leaves.length; n++) {
    const tree = new MerkleTree(crypto, leaves.slice(0, n));
    expect(tree.size).toBe(n);
    expect(tree.root).toEqual(rootAt(n));
    expect(rootOf(crypto, n, subtree)).toEqual(rootAt(n));
  }
});

test('a tree made beside another one has the same root, and hashes only what is above other leaves', () => {
  const other = (i: number) => leafHash(crypto, Uint8Array.of(7, i, i >> 8));
  let hashes = 0;
  const counting = {
    sha256: (...parts: Uint8Array[]) => {
      hashes++;
      return crypto.sha256(...parts);
    },
  };
  fc.assert(
    fc.property(fc.array(fc.nat(299), { maxLength: 4 }), size, size, (places, before, n) => {
      const changed = leaves.slice(0, n).map((leaf, i) => (places.includes(i) ? other(i) : leaf));
      const known = new MerkleTree(crypto, leaves.slice(0, before));
      hashes = 0;
      const tree = new MerkleTree(counting, changed, known);
      if (before === n) expect(hashes).toBeLessThanOrEqual(9 * new Set(places).size);
      expect(tree.root).toEqual(definedRoot(changed));
      if (before !== n) return;
      const replaced = places.filter((place) => place < n);
      const next = known.with(replaced.map((place) => [place, other(place)]));
      expect(next.root).toEqual(tree.root);
      expect(known.root).toEqual(rootAt(n)); // it stays what it was
      if (n > 0) expect(next.inclusionProof(n - 1)).toEqual(tree.inclusionProof(n - 1));
    }),
  );
  expect(() => new MerkleTree(crypto, []).with([[0, other(0)]])).toThrow('no leaf 0 of 0');
});

describe('inclusion', () => {
  test('every leaf is proven, by the same proof from memory as from subtrees', () => {
    fc.assert(
      fc.property(sizeAndIndex, ([n, index]) => {
        const proof = inclusionProof(crypto, index, n, subtree);
        expect(new MerkleTree(crypto, leaves.slice(0, n)).inclusionProof(index)).toEqual(proof);
        return verifyInclusion(crypto, leaves[index]!, index, n, proof, rootAt(n));
      }),
    );
  });

  test('no other leaf, place, size, root or proof passes', () => {
    fc.assert(
      fc.property(sizeAndIndex, ([n, index]) => {
        const proof = inclusionProof(crypto, index, n, subtree);
        const leaf = leaves[index]!;
        const root = rootAt(n);
        const other = leafHash(crypto, Uint8Array.of(1, 2, 3));
        expect(verifyInclusion(crypto, other, index, n, proof, root)).toBe(false);
        expect(verifyInclusion(crypto, leaf, index, n, proof, rootAt(n + 1))).toBe(false);
        for (let i = 0; i < n; i++) {
          if (i !== index) expect(verifyInclusion(crypto, leaf, i, n, proof, root)).toBe(false);
        }
        for (const changed of mutations(proof)) {
          expect(verifyInclusion(crypto, leaf, index, n, changed, root)).toBe(false);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('indexes that are none are refused', () => {
    const [leaf, root] = [leaves[0]!, leaves[0]!];
    expect(verifyInclusion(crypto, leaf, 0, 1, [], root)).toBe(true);
    for (const [index, n] of [
      [1, 1],
      [-1, 1],
      [0.5, 1],
      [0, 0],
      [0, 1.5],
      [Number.NaN, 1],
    ] as const) {
      expect(verifyInclusion(crypto, leaf, index, n, [], root)).toBe(false);
      expect(() => inclusionProof(crypto, index, n, subtree)).toThrow(RangeError);
    }
    expect(() => new MerkleTree(crypto, leaves).inclusionProof(300)).toThrow(RangeError);
  });
});

describe('consistency', () => {
  test('every tree is proven to begin with each smaller one', () => {
    fc.assert(
      fc.property(twoSizes, ([old, now]) => {
        const proof = consistencyProof(crypto, old!, now!, subtree);
        return verifyConsistency(crypto, old!, rootAt(old!), now!, rootAt(now!), proof);
      }),
    );
  });

  test('a rewritten leaf, another size and another proof are refused', () => {
    fc.assert(
      fc.property(twoSizes, fc.nat({ max: leaves.length - 1 }), ([old, now], at) => {
        const proof = consistencyProof(crypto, old!, now!, subtree);
        const [oldRoot, root] = [rootAt(old!), rootAt(now!)];
        if (at < old!) {
          const rewritten = leaves
            .slice(0, now!)
            .with(at, leafHash(crypto, Uint8Array.of(9, 9, 9)));
          const rewrittenTree: SubtreeHash = ({ level, index }) =>
            definedRoot(rewritten.slice(index * 2 ** level, (index + 1) * 2 ** level));
          const forged = consistencyProof(crypto, old!, now!, rewrittenTree);
          const forgedRoot = definedRoot(rewritten);
          expect(verifyConsistency(crypto, old!, oldRoot, now!, forgedRoot, forged)).toBe(false);
        }
        for (const changed of mutations(proof)) {
          expect(verifyConsistency(crypto, old!, oldRoot, now!, root, changed)).toBe(false);
        }
        expect(verifyConsistency(crypto, now! + 1, oldRoot, now!, root, proof)).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  test('a tree never shrinks', () => {
    expect(() => consistencyProof(crypto, 5, 4, subtree)).toThrow(RangeError);
    expect(verifyConsistency(crypto, 5, rootAt(5), 4, rootAt(4), [])).toBe(false);
    expect(verifyConsistency(crypto, 5, rootAt(5), 5, rootAt(4), [])).toBe(false);
  });
});
