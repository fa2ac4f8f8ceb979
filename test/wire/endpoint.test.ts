import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeEndpoint,
  ENDPOINT,
  type Endpoint,
  encodeEndpoint,
} from '../../src/wire/endpoint.ts';

const u32 = fc.integer({ min: 0, max: 0xffffffff });

const endpoint: fc.Arbitrary<Endpoint> = fc.constantFrom<4 | 6>(4, 6).chain((family) => {
  const length = family === 4 ? 4 : 16;
  const address = fc.uint8Array({ minLength: length, maxLength: length });
  return fc
    .record({
      address,
      port: fc.integer({ min: 0, max: 0xffff }),
      scope: u32,
      sticky: fc.option(fc.record({ source: address, sourceInterface: u32 }), { nil: undefined }),
    })
    .map(({ sticky, ...fields }) => ({ family, ...fields, ...sticky }));
});

test('an endpoint reads back from memory as it was written, and nothing around it is touched', () => {
  fc.assert(
    fc.property(endpoint, fc.nat(16), (written, offset) => {
      const memory = new Uint8Array(80).fill(0xaa);
      encodeEndpoint(memory, offset, written);
      expect(decodeEndpoint(memory, offset)).toEqual(written);
      const before = memory.subarray(0, offset);
      const behind = memory.subarray(offset + ENDPOINT.length);
      expect([...before, ...behind].every((byte) => byte === 0xaa)).toBe(true);
    }),
  );
});

test('equal endpoints are equal in memory whatever was there before: unused bytes are zero', () => {
  fc.assert(
    fc.property(endpoint, endpoint, (earlier, written) => {
      const reused = new Uint8Array(ENDPOINT.length);
      encodeEndpoint(reused, 0, earlier);
      encodeEndpoint(reused, 0, written);
      const fresh = new Uint8Array(ENDPOINT.length);
      encodeEndpoint(fresh, 0, written);
      expect(reused).toEqual(fresh);
    }),
  );
});

test('memory without an address family holds no endpoint', () => {
  const memory = new Uint8Array(ENDPOINT.length);
  expect(decodeEndpoint(memory, 0)).toBeUndefined();
  for (const family of [1, 2, 3, 5, 7, 10, 0x0400]) {
    new DataView(memory.buffer).setUint16(ENDPOINT.family, family, true);
    expect(decodeEndpoint(memory, 0)).toBeUndefined();
  }
});
