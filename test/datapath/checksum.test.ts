import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { wasmMemoryKernel } from '../../src/crypto/wasm/memory-kernel.ts';
import {
  fold,
  javascriptKernel,
  type MemoryKernelFactory,
  swap16,
} from '../../src/datapath/checksum.ts';
import { plainSum } from './plain.ts';

const KERNELS: [string, MemoryKernelFactory][] = [
  ['JavaScript', javascriptKernel],
  ['WebAssembly', (memory) => wasmMemoryKernel(memory, 'wasm-simd')],
  ['revectorised WebAssembly', (memory) => wasmMemoryKernel(memory, 'wasm-simd-revec')],
];

/** Zero has two forms. */
const normal = (sum: number): number => (sum === 0xffff ? 0 : sum);

describe.each(KERNELS)('memory kernel in %s', (_, factory) => {
  const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
  const u8 = new Uint8Array(memory.buffer);
  const kernel = factory(memory);

  test('sums any range at any offset as RFC 1071 does', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.integer({ min: 0, max: 70 }),
        fc.integer({ min: 0, max: 0xffff }),
        (bytes, offset, initial) => {
          u8.fill(0xa5, 0, 400);
          u8.set(bytes, offset);
          const expected = fold(swap16(plainSum(bytes)) + initial);
          expect(normal(kernel.sum(offset, bytes.length, initial))).toBe(normal(expected));
          const copied = kernel.copySum(1024 + offset, offset, bytes.length, initial);
          expect(normal(copied)).toBe(normal(expected));
          expect([...u8.slice(1024 + offset, 1024 + offset + bytes.length)]).toEqual([...bytes]);
        },
      ),
      { numRuns: 500 },
    );
  });

  test.each([0xff, 0x00, 0x80])('sums 64 KB of byte %i without losing a carry', (byte) => {
    u8.fill(byte, 0, 65536);
    expect(normal(kernel.sum(0, 65536, 0xffff))).toBe(normal(swap16(plainSum(u8.slice(0, 65536)))));
    expect(normal(kernel.sum(1, 65535, 0))).toBe(normal(swap16(plainSum(u8.slice(1, 65536)))));
  });

  test('copies exactly the range, apart from slack behind it', () => {
    for (let length = 0; length <= 300; length++) {
      u8.fill(7, 65536, 65536 + 1024);
      for (let i = 0; i < length; i++) u8[i + 3] = i ^ length;
      kernel.copy(65536 + 5, 3, length);
      expect([...u8.slice(65536, 65541)]).toEqual([7, 7, 7, 7, 7]);
      expect([...u8.slice(65541, 65541 + length)]).toEqual([...u8.slice(3, 3 + length)]);
      expect(u8[65541 + length + 256]).toBe(7);
    }
  });
});
