import { assembleKernel } from './kernel.ts';

/**
 * The same code, compiled in two ways: `wasm-simd-revec` has V8 join pairs of 128-bit operations to
 * AVX2 ones, an experimental option, `wasm-simd` does not.
 */
export type KernelVariant = 'wasm-simd-revec' | 'wasm-simd';

/** Of any memory: the limit of WebAssembly. */
const MAXIMUM_PAGES = 65536;

/** The module to compile. A published build holds what this returns in place of the assembler. */
export function kernelBytes(variant: KernelVariant): Uint8Array {
  return assembleKernel({
    revectorized: variant === 'wasm-simd-revec',
    maximumPages: MAXIMUM_PAGES,
    label: variant,
  });
}
