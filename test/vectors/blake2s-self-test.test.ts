import { blake2s } from '@noble/hashes/blake2.js';
import { expect, test } from 'vitest';
import { nobleProvider } from '../../src/crypto/noble.ts';
import { readVectors, toHex } from '../lab/vectors.ts';

interface SelfTest {
  self_test: { output_lengths: number[]; input_lengths: number[]; grand_hash: string };
}

/** The deterministic sequence of RFC 7693 appendix E: a Fibonacci generator. */
function sequence(length: number, seed: number): Uint8Array {
  let a = Math.imul(0xdead4bad, seed) >>> 0;
  let b = 1;
  return Uint8Array.from({ length }, () => {
    const t = (a + b) >>> 0;
    a = b;
    b = t;
    return t >>> 24;
  });
}

test('BLAKE2s passes the self-test of RFC 7693 appendix E, keyed and not, at every output length', () => {
  const { output_lengths, input_lengths, grand_hash } =
    readVectors<SelfTest>('rfc7693.json').self_test;
  const digests: Uint8Array[] = [];
  for (const dkLen of output_lengths) {
    for (const length of input_lengths) {
      const input = sequence(length, length);
      const key = sequence(dkLen, dkLen);
      const keyed = blake2s(input, { dkLen, key });
      digests.push(blake2s(input, { dkLen }), keyed);
      if (dkLen === 16) expect(toHex(nobleProvider.mac(key, input))).toBe(toHex(keyed));
    }
  }
  expect(toHex(nobleProvider.hash(...digests))).toBe(grand_hash);
});
