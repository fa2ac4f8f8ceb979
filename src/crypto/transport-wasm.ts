import { SCRATCH_LENGTH, type TransportAead, type TransportAeadFactory } from './transport-aead.ts';
import { SCRATCH_USED } from './wasm/kernel.ts';
import type { KernelVariant } from './wasm/kernel-bytes.ts';
import { compileKernel, instantiateKernel } from './wasm/loader.ts';

/**
 * The WebAssembly kernel as a transport AEAD. Offsets of `source` must be 16 or more: a partial last
 * block is read with the bytes before it. Nothing is written outside the destination and the tag,
 * but for up to 15 bytes behind what `open` opens.
 */
export const wasmAead =
  (variant: KernelVariant): TransportAeadFactory =>
  (memory, scratch): TransportAead => {
    const kernel = instantiateKernel(compileKernel(variant), memory, scratch);
    return {
      name: variant,
      seal: kernel.seal,
      sealNext: kernel.sealNext,
      sealEnd: kernel.sealEnd,
      open: (key, counterLow, counterHigh, destination, source, length) =>
        kernel.open(key, counterLow, counterHigh, destination, source, length) !== 0,
      openBefore: (key, low, high, destination, source, length, next, nextLow, nextHigh, behind) =>
        kernel.openBefore(
          key,
          low,
          high,
          destination,
          source,
          length,
          next,
          nextLow,
          nextHigh,
          behind,
        ) !== 0,
      openEnd: kernel.openEnd,
    };
  };

if (SCRATCH_USED > SCRATCH_LENGTH) throw new Error('the kernel needs more scratch memory');
