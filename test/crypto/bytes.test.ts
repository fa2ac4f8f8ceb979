import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  concatBytes,
  constantTimeEqual,
  copyBytes,
  counterNonce,
  isZero,
  zeroize,
} from '../../src/crypto/bytes.ts';

const bytes = fc.uint8Array({ maxLength: 40 });

test('constant-time comparison finds what comparing texts finds', () => {
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(constantTimeEqual(a, b)).toBe(a.toHex() === b.toHex());
      expect(constantTimeEqual(a, a.slice())).toBe(true);
    }),
  );
});

test('a difference in any single bit is found', () => {
  const zeros = new Uint8Array(32);
  for (let bit = 0; bit < 256; bit++) {
    const other = new Uint8Array(32);
    other[bit >> 3] = 1 << (bit & 7);
    expect(constantTimeEqual(zeros, other)).toBe(false);
    expect(isZero(other)).toBe(false);
  }
  expect(isZero(zeros)).toBe(true);
  expect(isZero(new Uint8Array(0))).toBe(true);
});

test('zeroize overwrites everything it is given and skips what is not there', () => {
  const a = Uint8Array.of(1, 2);
  const b = Uint8Array.of(3);
  zeroize(a, undefined, b);
  expect([a, b].every(isZero)).toBe(true);
});

test('a copy of a Buffer does not share memory with it', () => {
  const original = Buffer.from([1, 2, 3]);
  const copy = copyBytes(original);
  original[0] = 9;
  expect(copy).toEqual(Uint8Array.of(1, 2, 3));
  expect(Object.getPrototypeOf(copy)).toBe(Uint8Array.prototype);
});

test('concatenation keeps order and lengths', () => {
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 5 }), (parts) => {
      expect(Array.from(concatBytes(...parts))).toEqual(parts.flatMap((part) => Array.from(part)));
    }),
  );
});

test('the nonce is four zero bytes and the counter, little-endian, all 64 bits of it', () => {
  expect(counterNonce(0n).toHex()).toBe('000000000000000000000000');
  expect(counterNonce(0x0102030405060708n).toHex()).toBe('000000000807060504030201');
  expect(counterNonce(2n ** 64n - 1n).toHex()).toBe('00000000ffffffffffffffff');
});
