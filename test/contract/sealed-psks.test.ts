import { expect, test } from 'vitest';
import { peerListHash } from '../../src/contract/config.ts';
import { openPsks, type SealContext, sealPsks } from '../../src/contract/sealed-psks.ts';
import { defaultProvider } from '../../src/crypto/select.ts';

const crypto = defaultProvider();
const privateKey = new Uint8Array(32).fill(1);
const psks = [new Uint8Array(32).fill(10), new Uint8Array(32).fill(11)];
const peers = [
  { nodeId: 'b', wireguard: new Uint8Array(32).fill(20), sinceEpoch: 4 },
  { nodeId: 'c', wireguard: new Uint8Array(32).fill(21), sinceEpoch: 5 },
];
const context: SealContext = {
  meshId: new Uint8Array(32).fill(30),
  nodeId: 'a',
  epoch: 7,
  version: 8,
  peerList: peerListHash(crypto, peers),
};

test('only the recipient opens the seal, and only in its context', async () => {
  const sealed = await sealPsks(crypto.x25519Public(privateKey), psks, context);
  expect(await openPsks(privateKey, sealed, 2, context)).toEqual(psks);
  expect(await openPsks(new Uint8Array(32).fill(2), sealed, 2, context)).toBeUndefined();
  for (const change of [
    { meshId: new Uint8Array(32) },
    { nodeId: 'b' },
    { epoch: 6 },
    { version: 9 },
    { peerList: peerListHash(crypto, [...peers].reverse()) },
  ]) {
    expect(await openPsks(privateKey, sealed, 2, { ...context, ...change })).toBeUndefined();
  }
  expect(await openPsks(privateKey, sealed, 1, context)).toBeUndefined();
  expect(await openPsks(privateKey, { ...sealed, enc: '' }, 2, context)).toBeUndefined();
});

test('equal PSKs are sealed to different bytes each time', async () => {
  const publicKey = crypto.x25519Public(privateKey);
  const [a, b] = await Promise.all([
    sealPsks(publicKey, psks, context),
    sealPsks(publicKey, psks, context),
  ]);
  expect(a.ciphertext).not.toBe(b.ciphertext);
});

test('the peer-list hash knows order, key and since_epoch', () => {
  const hash = (list: typeof peers) => Buffer.from(peerListHash(crypto, list)).toString('hex');
  const [b, c] = peers as [(typeof peers)[0], (typeof peers)[0]];
  const variants = [
    [b, c],
    [c, b],
    [b],
    [],
    [b, { ...c, sinceEpoch: 6 }],
    [b, { ...c, nodeId: 'd' }],
    [b, { ...c, wireguard: b.wireguard }],
  ];
  expect(new Set(variants.map(hash)).size).toBe(variants.length);
});
