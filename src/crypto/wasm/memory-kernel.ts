import type { KernelVariant } from './kernel-bytes.ts';
import { compileKernel, instantiateKernel } from './loader.ts';

/**
 * The Internet checksum (RFC 1071) and copying over ranges of a memory. Sums are of 16-bit words read
 * as little-endian numbers, a last odd byte as a low byte, folded to 0..0xffff (RFC 1071 section 2
 * (B)). Ranges of a sum are at most 64 KB; ranges may start anywhere; nothing outside is touched.
 */
export interface WasmMemoryKernel {
  readonly name: string;
  /** Adds the sum of `length` bytes at `offset` to `initial` (0..0xffff). */
  sum(offset: number, length: number, initial: number): number;
  /** Copies; the ranges must not overlap. */
  copy(destination: number, source: number, length: number): void;
  /** Copies, and returns the sum as `sum` of what was copied. */
  copySum(destination: number, source: number, length: number, initial: number): number;
}

/** Creates the functions on `memory`; throws where WebAssembly SIMD or shared memory is missing. */
export function wasmMemoryKernel(
  memory: WebAssembly.Memory,
  variant: KernelVariant,
): WasmMemoryKernel {
  const { sum, copy, copySum } = instantiateKernel(compileKernel(variant), memory, 0);
  return { name: variant, sum, copy, copySum };
}
