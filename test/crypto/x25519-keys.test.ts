import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nobleProvider } from '../../src/crypto/noble.ts';
import { nodeProvider } from '../../src/crypto/node.ts';
import { clampX25519, isCanonicalX25519, isMaskedX25519 } from '../../src/crypto/x25519-keys.ts';

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const P = 2n ** 255n - 19n;

function littleEndian(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

test('clamping changes no public key', () => {
  fc.assert(
    fc.property(bytes32, (key) => {
      const clamped = clampX25519(key);
      expect(nodeProvider.x25519Public(clamped)).toEqual(nodeProvider.x25519Public(key));
      expect(clampX25519(clamped)).toEqual(clamped);
    }),
    { numRuns: 50 },
  );
});

test('every alias of a public key is known as one', () => {
  for (const offset of [-2n, -1n, 0n, 1n, 18n]) {
    expect(isCanonicalX25519(littleEndian(P + offset)), `p + ${offset}`).toBe(offset < 0n);
  }
  fc.assert(
    fc.property(bytes32, (key) => {
      const value = key.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
      expect(isCanonicalX25519(key)).toBe(value < P);
      expect(isMaskedX25519(key)).toBe(value >= 2n ** 255n);
    }),
  );
});

test('an alias agrees as the key itself does, so that it must be told from it', () => {
  const key = nobleProvider.x25519Public(new Uint8Array(32).fill(3));
  const alias = key.slice();
  alias[31]! |= 0x80;
  const own = new Uint8Array(32).fill(4);
  for (const provider of [nodeProvider, nobleProvider]) {
    expect(provider.x25519(own, alias)).toEqual(provider.x25519(own, key));
  }
});
