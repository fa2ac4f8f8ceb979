import { createHash, hash, randomBytes } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatBytes } from '../../src/crypto/bytes.ts';
import { Ed25519Batch, MOST_CHECKS } from '../../src/crypto/ed25519-batch.ts';
import { isAcceptableEd25519Key, nobleProvider } from '../../src/crypto/noble.ts';
import { nodeProvider } from '../../src/crypto/node.ts';
import type { Ed25519Check } from '../../src/crypto/provider.ts';

const { Point } = ed25519;
const L = Point.Fn.ORDER;
const batch = new Ed25519Batch({
  random: (length) => randomBytes(length),
  sha512: (...parts) => hash('sha512', concatBytes(...parts), 'buffer'),
  isAcceptable: isAcceptableEd25519Key,
});

/** The points of small order: multiples of one of order 8. */
const TORSION = (() => {
  const [generator] = Array.from({ length: 100 }, (_, i) => {
    const bytes = new Uint8Array(createHash('sha256').update(`${i}`).digest());
    try {
      const point = Point.fromBytes(bytes)
        .multiplyUnsafe(L - 1n)
        .add(Point.fromBytes(bytes));
      return point.multiplyUnsafe(4n).equals(Point.ZERO) ? undefined : point;
    } catch {
      return undefined;
    }
  }).filter((point) => point !== undefined);
  return Array.from({ length: 8 }, (_, i) => generator!.multiplyUnsafe(BigInt(i)));
})();

function signed(seedByte: number, message: Uint8Array): Ed25519Check {
  const seed = new Uint8Array(32).fill(seedByte);
  const publicKey = nodeProvider.ed25519Public(seed);
  return { publicKey, message, signature: nodeProvider.ed25519Sign(seed, message) };
}

const numbered = (i: number): Ed25519Check => signed(i % 7, new Uint8Array(i % 300).fill(i));
const good = Array.from({ length: 70 }, (_, i) => numbered(i));

/** A signature by whoever has the key, with points of small order added to R and to the key. */
function crafted(r: InstanceType<typeof Point>, a: InstanceType<typeof Point>): Ed25519Check {
  const { scalar, point } = ed25519.utils.getExtendedPublicKey(new Uint8Array(32).fill(9));
  const message = Uint8Array.of(1, 2, 3);
  const nonce = 123_456_789n;
  const R = Point.BASE.multiply(nonce).add(r).toBytes();
  const publicKey = point.add(a).toBytes();
  const k = number(hash('sha512', concatBytes(R, publicKey, message), 'buffer')) % L;
  const s = (nonce + k * scalar) % L;
  return { publicKey, message, signature: concatBytes(R, bytesOf(s)) };
}

function number(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytes.toReversed().toHex()}`);
}

function bytesOf(value: bigint): Uint8Array {
  return Uint8Array.fromHex(value.toString(16).padStart(64, '0')).reverse();
}

function isStrict({ publicKey, message, signature }: Ed25519Check): boolean {
  return nodeProvider.ed25519Verify(publicKey, message, signature);
}

describe('many signatures by one equation', () => {
  test('hold if each does: of many keys, of one, of none', () => {
    expect(batch.verify(good)).toBe(true);
    expect(batch.verify(good.filter((_, i) => i % 7 === 3))).toBe(true);
    expect(batch.verify(good.slice(0, 1))).toBe(true);
    expect(batch.verify([])).toBe(true);
    expect(batch.verify([good[1]!, good[1]!])).toBe(true);
  });

  test('the vectors of RFC 8032, section 7.1, together', () => {
    const vectors = [
      [
        'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
        '',
        'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
      ],
      [
        '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
        '72',
        '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
      ],
      [
        'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
        'af82',
        '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
      ],
    ].map(([key, message, signature]) => ({
      publicKey: Uint8Array.fromHex(key!),
      message: Uint8Array.fromHex(message!),
      signature: Uint8Array.fromHex(signature!),
    }));
    expect(batch.verify(vectors)).toBe(true);
  });

  test('any bit that is another fails the whole', () => {
    const where = fc.record({
      index: fc.nat({ max: good.length - 1 }),
      part: fc.constantFrom('publicKey' as const, 'signature' as const),
      bit: fc.nat({ max: 511 }),
    });
    fc.assert(
      fc.property(where, ({ index, part, bit }) => {
        const bytes = new Uint8Array(good[index]![part]);
        const byte = (bit >> 3) % bytes.length;
        bytes[byte]! ^= 1 << (bit & 7);
        expect(batch.verify(good.with(index, { ...good[index]!, [part]: bytes }))).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  test('two that are wrong by the same do not make up for each other', () => {
    const [one, other] = [good[7]!, good[14]!].map(({ publicKey, message, signature }, i) => {
      const s = (number(signature.subarray(32)) + (i === 0 ? 1n : L - 1n)) % L;
      return { publicKey, message, signature: concatBytes(signature.subarray(0, 32), bytesOf(s)) };
    });
    expect(batch.verify([one!, other!])).toBe(false);
    const swapped = [good[7]!, good[14]!].map((one, i, both) => {
      return { ...one, signature: both[1 - i]!.signature };
    });
    expect(batch.verify(swapped)).toBe(false);
  });

  test('what is not written in the one way fails: s + L, keys and R beyond p, wrong lengths', () => {
    const { publicKey, message, signature } = good[1]!;
    const s = number(signature.subarray(32));
    const malleable = concatBytes(signature.subarray(0, 32), bytesOf(s + L));
    expect(batch.verify([{ publicKey, message, signature: malleable }])).toBe(false);
    // y = 1 as p + 1, y = 0 as p, x = 0 with the sign of an odd x
    const odd = [2n ** 255n - 18n, 2n ** 255n - 19n, 2n ** 255n - 1n, 2n ** 255n + 1n].map(bytesOf);
    for (const bytes of odd) {
      const other = concatBytes(bytes, signature.subarray(32));
      expect(batch.verify([{ publicKey, message, signature: other }])).toBe(false);
      expect(batch.verify([{ publicKey: bytes, message, signature }])).toBe(false);
    }
    for (const length of [0, 31, 33, 63, 65]) {
      const bytes = new Uint8Array(length);
      expect(batch.verify([{ publicKey: bytes, message, signature }])).toBe(false);
      expect(batch.verify([{ publicKey, message, signature: bytes }])).toBe(false);
    }
  });

  test('keys of small order sign nothing', () => {
    for (const point of TORSION) {
      const publicKey = point.toBytes();
      const signature = concatBytes(Point.ZERO.toBytes(), new Uint8Array(32));
      const check = { publicKey, message: Uint8Array.of(1), signature };
      expect([batch.verify([check]), isStrict(check)]).toEqual([false, false]);
    }
  });

  test('a part of small order, which only the holder of a key can add, is what the cofactor takes away', () => {
    for (const r of TORSION) {
      for (const a of TORSION) {
        // Always, as RFC 8032 section 5.1.7 has it: not sometimes, as without the cofactor.
        const check = crafted(r, a);
        expect(batch.verify([check])).toBe(true);
        expect(batch.verify([...good, check])).toBe(true);
      }
    }
    expect(isStrict(crafted(TORSION[0]!, TORSION[0]!))).toBe(true);
    expect(isStrict(crafted(TORSION[1]!, TORSION[0]!))).toBe(false);
  });

  test('points and messages of any kind, as noble has it', () => {
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
    fc.assert(
      fc.property(bytes(32), bytes(64), (publicKey, signature) => {
        signature[63]! &= 0x0f;
        const check = { publicKey, message: publicKey, signature };
        expect(batch.verify([check])).toBe(isStrict(check));
      }),
    );
  });

  test('more than there is room for is a mistake', () => {
    const many = Array.from({ length: MOST_CHECKS + 1 }, () => good[0]!);
    expect(() => batch.verify(many)).toThrow(RangeError);
    expect(batch.verify(many.slice(1))).toBe(true);
  });
});

test.each([nobleProvider, nodeProvider])('$name says of each whether it verifies', (provider) => {
  const many = Array.from({ length: MOST_CHECKS + 100 }, (_, i) => good[i % good.length]!);
  const some = provider === nobleProvider ? many.slice(-100) : many;
  const wrong = { ...good[0]!, message: Uint8Array.of(9) };
  const checks = some.with(5, wrong).with(some.length - 1, wrong);
  const expected = checks.map((one) => one !== wrong);
  expect(provider.ed25519VerifyEach(checks)).toEqual(expected);
  expect(provider.ed25519VerifyEach(some.slice(0, 64))).toEqual(Array(64).fill(true));
  expect(provider.ed25519VerifyEach([])).toEqual([]);
});
