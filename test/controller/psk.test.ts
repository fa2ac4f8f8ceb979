import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EpochKeys, nodePsk, pairPsk } from '../../src/controller/psk.ts';
import { nobleProvider } from '../../src/crypto/noble.ts';
import { defaultProvider } from '../../src/crypto/select.ts';

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));
const hex = (value: Uint8Array) => Buffer.from(value).toString('hex');

// The inputs of the worked example in docs/GOVERNANCE.md.
const secret = Uint8Array.from({ length: 32 }, (_, i) => i);
const meshId = new Uint8Array(32).fill(0xa0);
const epoch = 42;
const a = { nodeId: 'node-a', wireguard: new Uint8Array(32).fill(0x0a) };
const b = { nodeId: 'node-b', wireguard: new Uint8Array(32).fill(0x0b) };

/** The formula of the documentation, written once more with nothing of ours. */
function byHand(): { node: Buffer; pair: Buffer } {
  const node = createHmac('sha256', secret).update('node-a').digest();
  const pair = createHmac('sha256', node)
    .update('aligned-meshnet pair v1')
    .update(Buffer.from([0]))
    .update(meshId)
    .update(Buffer.from('000000000000002a', 'hex'))
    .update(a.wireguard)
    .update(b.wireguard)
    .update('node-b')
    .digest();
  return { node, pair };
}

test.each([defaultProvider(), nobleProvider])('worked values, $name provider', (crypto) => {
  const expected = byHand();
  const seedOf = (nodeId: string) => nodePsk(crypto, secret, nodeId);
  expect(hex(seedOf('node-a'))).toBe(hex(expected.node));
  expect(hex(pairPsk(crypto, meshId, epoch, seedOf, a, b))).toBe(hex(expected.pair));
  expect(hex(pairPsk(crypto, meshId, epoch, seedOf, b, a))).toBe(hex(expected.pair));
});

test('the documentation shows these values', () => {
  const text = readFileSync(new URL('../../docs/GOVERNANCE.md', import.meta.url), 'utf8');
  const { node, pair } = byHand();
  for (const value of [hex(secret), hex(meshId), hex(node), hex(pair)])
    expect(text).toContain(value);
});

test('the order of a pair is byte order, not that of any language', () => {
  const crypto = defaultProvider();
  const seeds: string[] = [];
  const seedOf = (nodeId: string) => {
    seeds.push(nodeId);
    return nodePsk(crypto, secret, nodeId);
  };
  for (const [one, other] of [
    ['node-10', 'node-2'],
    ['a-', 'a0'],
    ['ab', 'a-b'],
  ] as const) {
    pairPsk(crypto, meshId, 1, seedOf, { ...a, nodeId: one }, { ...b, nodeId: other });
  }
  expect(seeds).toEqual(['node-10', 'a-', 'a-b']);
});

test('every input changes the key', () => {
  const crypto = defaultProvider();
  const key = (change: object = {}) => {
    const all = { secret, meshId, epoch, a, b, ...change };
    const seedOf = (nodeId: string) => nodePsk(crypto, all.secret, nodeId);
    return hex(pairPsk(crypto, all.meshId, all.epoch, seedOf, all.a, all.b));
  };
  const flipped = bytes(`80${'00'.repeat(31)}`);
  const keys = [
    key(),
    key({ secret: flipped }),
    key({ meshId: flipped }),
    key({ epoch: 43 }),
    key({ epoch: 42 + 2 ** 32 }),
    key({ a: { ...a, wireguard: flipped } }),
    key({ b: { ...b, wireguard: flipped } }),
    key({ a: { ...a, nodeId: 'node-aa' } }),
    key({ b: { ...b, nodeId: 'node-bb' } }),
    key({ a: { ...a, wireguard: b.wireguard }, b: { ...b, wireguard: a.wireguard } }),
  ];
  expect(new Set(keys).size).toBe(keys.length);
});

test('both ends of a pair get the same key out of the cache, and nobody after the end', () => {
  const crypto = defaultProvider();
  const ids = fc.uniqueArray(fc.stringMatching(/^[a-z0-9-]{1,63}$/), {
    minLength: 2,
    maxLength: 5,
  });
  fc.assert(
    fc.property(ids, (names) => {
      const keys = new EpochKeys(crypto, meshId, 7, secret.slice());
      const nodes = names.map((nodeId, i) => ({ nodeId, wireguard: new Uint8Array(32).fill(i) }));
      const table = nodes.map((node) => {
        const others = nodes.filter((other) => other !== node);
        const psks = keys.pairs(node, others);
        return new Map(others.map((other, i) => [other.nodeId, hex(psks[i]!)]));
      });
      const distinct = new Set<string>();
      for (const [i, one] of nodes.entries()) {
        for (const [j, other] of nodes.entries()) {
          if (i === j) continue;
          expect(table[i]!.get(other.nodeId)).toBe(table[j]!.get(one.nodeId));
          distinct.add(table[i]!.get(other.nodeId)!);
        }
      }
      expect(distinct.size).toBe((nodes.length * (nodes.length - 1)) / 2);
    }),
    { numRuns: 30 },
  );
  const own = secret.slice();
  const keys = new EpochKeys(crypto, meshId, 7, own);
  keys.pairs(a, [b]);
  keys.erase();
  expect(hex(own)).toBe('00'.repeat(32));
  expect(() => keys.pairs(a, [b])).toThrow('the epoch is over');
});

test('what is not 32 bytes, or no pair, is refused: the fields have no delimiters', () => {
  const crypto = defaultProvider();
  const seedOf = () => new Uint8Array(32);
  expect(() => pairPsk(crypto, meshId, 1, seedOf, a, a)).toThrow(RangeError);
  expect(() => pairPsk(crypto, meshId.subarray(1), 1, seedOf, a, b)).toThrow(RangeError);
  const short = { ...a, wireguard: a.wireguard.subarray(1) };
  expect(() => pairPsk(crypto, meshId, 1, seedOf, short, b)).toThrow(RangeError);
});
