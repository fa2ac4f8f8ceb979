import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  encodeWitnessRequest,
  parseKnownSize,
  parseWitnessRequest,
} from '../../src/record/witness-request.ts';

test('a request comes back as it was', () => {
  const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.array(hash, { maxLength: 63 }), (oldSize, proof) => {
      const request = { oldSize, proof, checkpoint: 'log\n1\nAAAA\n\n\u2014 log AAAA\n' };
      expect(parseWitnessRequest(encodeWitnessRequest(request))).toEqual(request);
    }),
  );
});

test.each([
  '',
  'old 1\n',
  'old 01\n\nlog',
  'old -1\n\nlog',
  'new 1\n\nlog',
  'old 1\nAAAA\n\nlog',
  `old 1\n${`${Buffer.alloc(32).toString('base64')}\n`.repeat(64)}\nlog`,
])('%j is none', (body) => {
  expect(parseWitnessRequest(body)).toBeUndefined();
});

test.each([
  ['7\n', 7],
  ['0\n', 0],
  ['7', undefined],
  ['07\n', undefined],
  ['\n', undefined],
])('%j tells the size %s', (body, size) => {
  expect(parseKnownSize(body)).toBe(size);
});
