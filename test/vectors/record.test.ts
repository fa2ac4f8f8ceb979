import { describe, expect, test } from 'vitest';
import { nobleProvider } from '../../src/crypto/noble.ts';
import { nodeProvider } from '../../src/crypto/node.ts';
import { logKey, signCheckpoint } from '../../src/record/checkpoint.ts';
import {
  leafHash,
  MerkleTree,
  verifyConsistency,
  verifyInclusion,
} from '../../src/record/merkle.ts';
import { verifierKeyText } from '../../src/record/note.ts';
import { tilePath } from '../../src/record/tiles.ts';
import { fromHex, readVectors, toHex } from '../lab/vectors.ts';

interface RecordFile {
  leaves: string[];
  trees: { size: number; root: string }[];
  inclusion: { index: number; size: number; proof: string[] }[];
  consistency: { old_size: number; size: number; proof: string[] }[];
  tile_paths: { level: number; index: number; width: number; path: string }[];
  note: { seed: string; origin: string; verifier_key: string; signed: string };
}

const file = readVectors<RecordFile>('record.json');

describe.each([nobleProvider, nodeProvider])('the record on $name', (crypto) => {
  const hashes = file.leaves.map((leaf) => leafHash(crypto, fromHex(leaf)));
  const roots = file.trees.map(({ root }) => fromHex(root));

  test('has the roots and inclusion proofs of golang.org/x/mod', () => {
    for (const { size, root } of file.trees) {
      expect(toHex(new MerkleTree(crypto, hashes.slice(0, size)).root)).toBe(root);
    }
    for (const { index, size, proof } of file.inclusion) {
      const tree = new MerkleTree(crypto, hashes.slice(0, size));
      const path = proof.map(fromHex);
      expect(tree.inclusionProof(index).map(toHex)).toEqual(proof);
      expect(verifyInclusion(crypto, hashes[index]!, index, size, path, tree.root)).toBe(true);
    }
  });

  test('accepts its consistency proofs', () => {
    expect(file.consistency.length).toBeGreaterThan(50);
    for (const { old_size, size, proof } of file.consistency) {
      const [old, now] = [roots[old_size]!, roots[size]!];
      const path = proof.map(fromHex);
      expect(verifyConsistency(crypto, old_size, old, size, now, path)).toBe(true);
    }
  });

  test('signs the same note with the same key text', () => {
    const { seed, origin, verifier_key, signed } = file.note;
    const key = logKey(origin, crypto.ed25519Public(fromHex(seed)));
    expect(verifierKeyText(crypto, key)).toBe(verifier_key);
    const checkpoint = { origin, size: 8, root: roots[8]! };
    expect(signCheckpoint(crypto, fromHex(seed), checkpoint)).toBe(signed);
  });
});

test('tiles have the paths of golang.org/x/mod', () => {
  for (const { level, path, ...tile } of file.tile_paths) {
    expect(tilePath({ ...tile, level: level === -1 ? 'entries' : level })).toBe(path);
  }
});
