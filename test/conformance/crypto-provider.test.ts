import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatBytes } from '../../src/crypto/bytes.ts';
import { nobleProvider } from '../../src/crypto/noble.ts';
import { nodeProvider } from '../../src/crypto/node.ts';

/**
 * What every crypto provider must do besides giving the values of the RFCs, which
 * test/vectors/primitives.test.ts checks: agree with the others on any input, and refuse alike.
 */
const PROVIDERS = [nobleProvider, nodeProvider];

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const anyBytes = fc.uint8Array({ maxLength: 300 });
const counter = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const assert = <T>(property: fc.IProperty<T>, numRuns = 60): void =>
  fc.assert(property, { numRuns });

/** Every provider's result, which must all be the same. */
function agreed<T>(compute: (crypto: typeof nobleProvider) => T): T {
  const [first, ...others] = PROVIDERS.map(compute);
  for (const other of others) expect(other).toEqual(first);
  return first!;
}

describe('all providers agree on', () => {
  test('X25519 with any private key and any bytes as public key', () => {
    assert(
      fc.property(bytes(32), bytes(32), (privateKey, publicKey) => {
        agreed((crypto) => crypto.x25519Public(privateKey));
        const shared = agreed((crypto) => crypto.x25519(privateKey, publicKey));
        const prepared = agreed((crypto) => crypto.x25519PrivateKey(privateKey).agree(publicKey));
        expect(prepared).toEqual(shared);
      }),
      30,
    );
  });

  test('X25519 of public keys at and beyond the field prime, and with the unused bit set', () => {
    const privateKey = new Uint8Array(32).fill(7);
    for (let low = 0xe8; low <= 0xff; low++) {
      for (const high of [0x7f, 0xff]) {
        const beyond = new Uint8Array(32).fill(0xff);
        beyond[0] = low;
        beyond[31] = high;
        agreed((crypto) => crypto.x25519(privateKey, beyond));
      }
    }
  });

  test('hashes and MACs, however the input is cut into parts', () => {
    assert(
      fc.property(bytes(32), fc.array(anyBytes, { maxLength: 4 }), (key, parts) => {
        const whole = concatBytes(...parts);
        for (const name of ['hash', 'sha256'] as const) {
          expect(agreed((crypto) => crypto[name](...parts))).toEqual(nobleProvider[name](whole));
        }
        for (const name of ['hmac', 'mac', 'hmacSha256'] as const) {
          const inParts = agreed((crypto) => crypto[name](key, ...parts));
          expect(inParts).toEqual(nobleProvider[name](key, whole));
        }
      }),
    );
  });

  test('HMAC with keys of any length', () => {
    assert(
      fc.property(anyBytes, anyBytes, (key, input) => {
        agreed((crypto) => crypto.hmac(key, input));
        agreed((crypto) => crypto.hmacSha256(key, input));
      }),
    );
  });

  test('sealing, and open what another one sealed', () => {
    assert(
      fc.property(bytes(32), counter, anyBytes, anyBytes, (key, nonce, plaintext, ad) => {
        const sealed = agreed((crypto) => crypto.aeadSeal(key, nonce, plaintext, ad));
        expect(sealed).toHaveLength(plaintext.length + 16);
        const opened = agreed((crypto) => crypto.aeadOpen(key, nonce, sealed, ad));
        expect(opened).toEqual(plaintext);
      }),
    );
    assert(
      fc.property(bytes(32), bytes(24), anyBytes, anyBytes, (key, nonce, plaintext, ad) => {
        const sealed = agreed((crypto) => crypto.xaeadSeal(key, nonce, plaintext, ad));
        expect(agreed((crypto) => crypto.xaeadOpen(key, nonce, sealed, ad))).toEqual(plaintext);
      }),
    );
  });

  test('Ed25519 keys and signatures', () => {
    assert(
      fc.property(bytes(32), anyBytes, (seed, message) => {
        const publicKey = agreed((crypto) => crypto.ed25519Public(seed));
        const signature = agreed((crypto) => crypto.ed25519Sign(seed, message));
        expect(agreed((crypto) => crypto.ed25519Verify(publicKey, message, signature))).toBe(true);
      }),
      20,
    );
  });

  test('refusing signatures in which one bit is wrong', () => {
    const seed = new Uint8Array(32).fill(3);
    const message = new TextEncoder().encode('a message');
    const publicKey = nobleProvider.ed25519Public(seed);
    const signature = nobleProvider.ed25519Sign(seed, message);
    assert(
      fc.property(fc.nat(64 * 8 - 1), (bit) => {
        const wrong = signature.slice();
        wrong[bit >> 3]! ^= 1 << (bit & 7);
        expect(agreed((crypto) => crypto.ed25519Verify(publicKey, message, wrong))).toBe(false);
      }),
      40,
    );
  });

  test('any bytes as Ed25519 public key and signature', () => {
    assert(
      fc.property(bytes(32), bytes(64), anyBytes, (publicKey, signature, message) => {
        agreed((crypto) => crypto.ed25519Verify(publicKey, message, signature));
      }),
      40,
    );
  });
});

describe.each(PROVIDERS)('$name', (crypto) => {
  test('a wrong tag, nonce, key, associated data or a cut message opens to undefined', () => {
    const key = new Uint8Array(32).fill(1);
    const ad = Uint8Array.of(9, 9);
    const plaintext = new TextEncoder().encode('attack at dawn');
    const sealed = crypto.aeadSeal(key, 5n, plaintext, ad);
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const wrong = sealed.slice();
      wrong[bit >> 3]! ^= 1 << (bit & 7);
      expect(crypto.aeadOpen(key, 5n, wrong, ad)).toBeUndefined();
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(crypto.aeadOpen(key, 5n, sealed.subarray(0, length), ad)).toBeUndefined();
    }
    expect(crypto.aeadOpen(key, 6n, sealed, ad)).toBeUndefined();
    expect(crypto.aeadOpen(key, 5n + 2n ** 32n, sealed, ad)).toBeUndefined();
    expect(crypto.aeadOpen(new Uint8Array(32), 5n, sealed, ad)).toBeUndefined();
    expect(crypto.aeadOpen(key, 5n, sealed, Uint8Array.of(9))).toBeUndefined();
    const nonce = new Uint8Array(24);
    const extended = crypto.xaeadSeal(key, nonce, plaintext, ad);
    for (let length = 0; length < extended.length; length++) {
      expect(crypto.xaeadOpen(key, nonce, extended.subarray(0, length), ad)).toBeUndefined();
    }
    expect(crypto.xaeadOpen(key, new Uint8Array(24).fill(1), extended, ad)).toBeUndefined();
  });

  test('results own their memory and inputs stay as they were', () => {
    const key = new Uint8Array(32).fill(1);
    const input = new Uint8Array(40).fill(2);
    const results = [
      crypto.x25519Public(key),
      crypto.x25519(key, crypto.x25519Public(input.subarray(0, 32)))!,
      crypto.hash(input),
      crypto.hmac(key, input),
      crypto.mac(key, input),
      crypto.aeadSeal(key, 0n, input, input),
      crypto.aeadOpen(key, 0n, crypto.aeadSeal(key, 0n, input, input), input)!,
      crypto.ed25519Public(key),
      crypto.ed25519Sign(key, input),
      crypto.sha256(input),
      crypto.hmacSha256(key, input),
    ];
    const copies = results.map((result) => result.slice());
    for (const result of results) {
      expect(Object.getPrototypeOf(result)).toBe(Uint8Array.prototype); // no Buffer
      result.subarray(0).fill(0xee); // if two shared memory, another one would change
      const others = results.filter((other) => other !== result && !other.every((b) => b === 0xee));
      for (const other of others) expect(copies).toContainEqual(other);
    }
    expect(key).toEqual(new Uint8Array(32).fill(1));
    expect(input).toEqual(new Uint8Array(40).fill(2));
  });

  test('a prepared private key is a copy', () => {
    const privateKey = new Uint8Array(32).fill(5);
    const peer = crypto.x25519Public(new Uint8Array(32).fill(6));
    const prepared = crypto.x25519PrivateKey(privateKey);
    const before = prepared.agree(peer);
    privateKey.fill(0);
    expect(prepared.agree(peer)).toEqual(before);
    prepared.zeroize();
    expect(prepared.agree(peer)).toBeUndefined();
  });
});

/** Points of Curve25519 whose multiples by the cofactor are zero: shared secrets would be known. */
const SMALL_ORDER_X25519 = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
];

test.each(SMALL_ORDER_X25519)('the small-order point %s has no shared secret', (hex) => {
  const point = Uint8Array.fromHex(hex);
  const withUnusedBit = point.slice();
  withUnusedBit[31]! |= 0x80;
  for (const crypto of PROVIDERS) {
    for (const seed of [1, 2, 3]) {
      const privateKey = new Uint8Array(32).fill(seed);
      for (const publicKey of [point, withUnusedBit]) {
        expect(crypto.x25519(privateKey, publicKey)).toBeUndefined();
        expect(crypto.x25519PrivateKey(privateKey).agree(publicKey)).toBeUndefined();
      }
    }
  }
});

/** Order of the base point (RFC 8032 5.1). */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;

const toNumber = (little: Uint8Array): bigint =>
  BigInt(
    `0x${Array.from(little, (byte) => byte.toString(16).padStart(2, '0'))
      .reverse()
      .join('')}`,
  );

function fromNumber(number: bigint): Uint8Array {
  const little = new Uint8Array(32);
  for (let i = 0, rest = number; i < 32; i++, rest >>= 8n) little[i] = Number(rest & 0xffn);
  return little;
}

/** Encodings of the eight points of small order, and non-canonical ones of the same. */
const SMALL_ORDER_ED25519 = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0000000000000000000000000000000000000000000000000000000000000080',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  '0100000000000000000000000000000000000000000000000000000000000080',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
];

describe.each(PROVIDERS)('$name: strict Ed25519', (crypto) => {
  const seed = new Uint8Array(32).fill(4);
  const message = new TextEncoder().encode('strict');
  const publicKey = crypto.ed25519Public(seed);
  const signature = crypto.ed25519Sign(seed, message);

  test('a signature whose S is not reduced is refused: it could be changed without the key', () => {
    const s = toNumber(signature.subarray(32));
    for (let shifted = s + L; shifted < 2n ** 256n; shifted += L) {
      const malleable = concatBytes(signature.subarray(0, 32), fromNumber(shifted));
      expect(crypto.ed25519Verify(publicKey, message, malleable)).toBe(false);
    }
    expect(crypto.ed25519Verify(publicKey, message, signature)).toBe(true);
  });

  test.each(SMALL_ORDER_ED25519)('public key %s is refused: it would verify any message', (hex) => {
    const key = Uint8Array.fromHex(hex);
    for (const point of SMALL_ORDER_ED25519) {
      const forged = concatBytes(Uint8Array.fromHex(point), new Uint8Array(32));
      for (const text of [message, new Uint8Array(0), seed]) {
        expect(crypto.ed25519Verify(key, text, forged)).toBe(false);
      }
    }
  });

  test('a non-canonical R is refused', () => {
    for (const hex of SMALL_ORDER_ED25519.slice(8)) {
      const forged = concatBytes(Uint8Array.fromHex(hex), signature.subarray(32));
      expect(crypto.ed25519Verify(publicKey, message, forged)).toBe(false);
    }
  });

  test('wrong lengths are refused, not thrown', () => {
    for (const length of [0, 1, 31, 33, 64]) {
      expect(crypto.ed25519Verify(new Uint8Array(length), message, signature)).toBe(false);
    }
    for (const length of [0, 1, 63, 65, 128]) {
      expect(crypto.ed25519Verify(publicKey, message, new Uint8Array(length))).toBe(false);
    }
  });
});
