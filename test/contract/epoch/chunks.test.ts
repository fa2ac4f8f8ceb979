import { expect, test } from 'vitest';
import {
  CHUNK_SIZE,
  chunksOf,
  openChunk,
  rootOfChunks,
} from '../../../src/contract/epoch/chunks.ts';
import type { MemberEntry } from '../../../src/contract/epoch/member-entry.ts';
import { MembershipTree } from '../../../src/contract/epoch/membership-tree.ts';
import { defaultProvider } from '../../../src/crypto/select.ts';

const crypto = defaultProvider();

const membership = (count: number): MemberEntry[] =>
  Array.from({ length: count }, (_, i) => ({
    nodeId: `node-${`${i}`.padStart(5, '0')}`,
    wireguard: new Uint8Array(32).fill(1),
    signing: new Uint8Array(32).fill(2),
    sealing: new Uint8Array(32).fill(3),
    recordSignature: new Uint8Array(64).fill(4),
    tunnelAddress: `10.10.${i >> 8}.${i & 255}`,
    endpoint: null,
    sinceEpoch: 1,
  }));

test.each([
  0,
  1,
  2,
  CHUNK_SIZE - 1,
  CHUNK_SIZE,
  CHUNK_SIZE + 1,
  3 * CHUNK_SIZE - 1,
  3 * CHUNK_SIZE + 1,
])('%i members: their chunks have the root of the membership, and say exactly them', (count) => {
  const entries = membership(count);
  const chunks = chunksOf(crypto, entries);
  expect(chunks).toHaveLength(Math.ceil(count / CHUNK_SIZE));
  const names = chunks.map(({ name }) => name);
  expect(rootOfChunks(crypto, names)).toEqual(
    MembershipTree.empty(crypto).replacedBy(entries).root,
  );
  const opened = chunks.flatMap(({ name, bytes }) => openChunk(crypto, name, bytes)!);
  expect(opened).toEqual(entries);
  for (const { name, bytes } of chunks) {
    const other = bytes.slice();
    other[bytes.length - 1]! ^= 1;
    expect(openChunk(crypto, name, other)).toBeUndefined();
  }
});

test('a chunk has somebody in it, and no more than its size', () => {
  const nobody = chunksOf(crypto, membership(1))[0]!;
  expect(openChunk(crypto, nobody.name, new Uint8Array())).toBeUndefined();
  const whole = chunksOf(crypto, membership(CHUNK_SIZE + 1));
  const both = Buffer.concat(whole.map(({ bytes }) => bytes));
  const root = rootOfChunks(
    crypto,
    whole.map(({ name }) => name),
  );
  expect(openChunk(crypto, root, new Uint8Array(both))).toBeUndefined();
});
