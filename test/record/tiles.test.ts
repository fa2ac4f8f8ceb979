import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatBytes } from '../../src/crypto/bytes.ts';
import { nodeProvider as crypto } from '../../src/crypto/node.ts';
import { leafHash, MerkleTree, rootOf } from '../../src/record/merkle.ts';
import {
  decodeEntries,
  encodeEntries,
  hashFromTile,
  newTiles,
  parseTilePath,
  type Tile,
  tileOf,
  tilePath,
} from '../../src/record/tiles.ts';

describe('paths', () => {
  test.each<[Tile, string]>([
    [{ level: 0, index: 0, width: 256 }, 'tile/0/000'],
    [{ level: 0, index: 1_234_067, width: 256 }, 'tile/0/x001/x234/067'],
    [{ level: 1, index: 999, width: 255 }, 'tile/1/999.p/255'],
    [{ level: 'entries', index: 1000, width: 1 }, 'tile/entries/x001/000.p/1'],
  ])('%j is %s', (tile, path) => {
    expect(tilePath(tile)).toBe(path);
    expect(parseTilePath(path)).toEqual(tile);
  });

  test.each([
    'tile/0/1',
    'tile/0/0001',
    'tile/0/x000/000',
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/000.p/01',
    'tile/6/000',
    'tile/00/000',
    'tile/data/000',
    'tile/0/../000',
    'tile/0/000/',
    'tile/0/x999/x999/x999/x999/x999/x999/999',
    '',
  ])('%j is no path', (path) => {
    expect(parseTilePath(path)).toBeUndefined();
  });
});

/** The tiles of a tree, written as they grow, by path. */
function tilesAfter(
  sizes: readonly number[],
  leaves: readonly Uint8Array[],
): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  let before = 0;
  for (const size of sizes) {
    for (const tile of newTiles(before, size)) {
      if (tile.level === 'entries') continue;
      const span = 256 ** tile.level;
      const hashes = Array.from({ length: tile.width }, (_, i) => {
        const first = (tile.index * 256 + i) * span;
        return new MerkleTree(crypto, leaves.slice(first, first + span)).root;
      });
      files.set(tilePath(tile), concatBytes(...hashes));
    }
    before = size;
  }
  return files;
}

const leaves = Array.from({ length: 700 }, (_, i) => leafHash(crypto, Uint8Array.of(i, i >> 8)));

test('the tiles that growth adds are enough for the root at every step', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: leaves.length }), { minLength: 1 }),
      (raw) => {
        const sizes = raw.toSorted((a, b) => a - b);
        const files = tilesAfter(sizes, leaves);
        for (const size of sizes) {
          const root = rootOf(crypto, size, (subtree) =>
            hashFromTile(crypto, subtree, files.get(tilePath(tileOf(subtree, size)))!),
          );
          expect(root).toEqual(new MerkleTree(crypto, leaves.slice(0, size)).root);
        }
      },
    ),
    { numRuns: 10 },
  );
});

test('a tile that is too short has no hash to give', () => {
  expect(() => hashFromTile(crypto, { level: 1, index: 1 }, new Uint8Array(96))).toThrow(
    RangeError,
  );
});

describe('entries', () => {
  test('come back as they were', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 256 }), (entries) => {
        expect(decodeEntries(encodeEntries(entries))).toEqual(entries);
      }),
    );
  });

  test('that are cut off are none, and none is longer than its length can say', () => {
    const bytes = encodeEntries([Uint8Array.of(1, 2, 3)]);
    for (const length of [1, 2, 4]) expect(decodeEntries(bytes.slice(0, length))).toBeUndefined();
    expect(() => encodeEntries([new Uint8Array(65_536)])).toThrow('at most 65535');
  });
});
