import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { wasmMemoryKernel } from '../../../src/crypto/wasm/memory-kernel.ts';
import { javascriptKernel } from '../../../src/datapath/checksum.ts';

describe.each(['wasm-simd-revec', 'wasm-simd'] as const)('%s', (variant) => {
  const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
  const u8 = new Uint8Array(memory.buffer);
  const kernel = wasmMemoryKernel(memory, variant);
  const plain = javascriptKernel(memory);

  test('sums and copies any range at any offset as plain JavaScript does', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 400 }),
        fc.nat(40),
        fc.nat(40),
        fc.integer({ min: 0, max: 0xffff }),
        (bytes, from, to, initial) => {
          const destination = 131072 + to;
          u8.set(bytes, from);
          const expected = plain.sum(from, bytes.length, initial);
          expect(kernel.sum(from, bytes.length, initial)).toBe(expected);
          u8.fill(0x5a, 131071, 131072 + 600);
          expect(kernel.copySum(destination, from, bytes.length, initial)).toBe(expected);
          expect(u8[destination - 1]).toBe(0x5a);
          expect(u8[destination + bytes.length]).toBe(0x5a);
          expect(u8.slice(destination, destination + bytes.length)).toEqual(bytes);
          u8.fill(0x5a, 131071, 131072 + 600);
          kernel.copy(destination, from, bytes.length);
          expect(u8[destination - 1]).toBe(0x5a);
          expect(u8[destination + bytes.length]).toBe(0x5a);
          expect(u8.slice(destination, destination + bytes.length)).toEqual(bytes);
        },
      ),
      { numRuns: 500 },
    );
  });

  test.each([0x00, 0x7f, 0x80, 0xff])('sums 64 KB of byte %i without losing a carry', (byte) => {
    u8.fill(byte, 0, 65536);
    expect(kernel.sum(0, 65536, 0xffff)).toBe(plain.sum(0, 65536, 0xffff));
    expect(kernel.sum(1, 65535, 0)).toBe(plain.sum(1, 65535, 0));
    expect(kernel.copySum(131072, 0, 65536, 1)).toBe(plain.sum(0, 65536, 1));
  });
});
