import v8 from 'node:v8';
import type { TransportAead } from '../transport-aead.ts';
import { type KernelVariant, kernelBytes } from './kernel-bytes.ts';

type Packets = Pick<TransportAead, 'seal' | 'sealNext' | 'sealEnd' | 'openEnd'>;

/** Functions of the kernel. Offsets and lengths are bytes in the memory; see kernel.ts. */
export interface Kernel extends Packets {
  /** 1, or 0 if the tag is wrong. */
  readonly open: (...packet: Parameters<TransportAead['open']>) => number;
  readonly openBefore: (...packets: Parameters<TransportAead['openBefore']>) => number;
  readonly sum: (source: number, length: number, initial: number) => number;
  readonly copy: (destination: number, source: number, length: number) => void;
  readonly copySum: (
    destination: number,
    source: number,
    length: number,
    initial: number,
  ) => number;
}

const compiled = new Map<KernelVariant, WebAssembly.Module>();

/**
 * Compiles the kernel, once per thread and variant, unless another thread's was adopted. Throws where
 * WebAssembly SIMD or shared memory is missing.
 *
 * Everything is compiled with the optimising compiler before this returns (about 20 ms): the
 * self-test then tests what will run, and the first packets are not slow. V8 aborts the process
 * if it inlines calls without the baseline compiler's feedback, so inlining is off; every
 * call that matters takes a microsecond anyway.
 *
 * The options belong to the process. If another thread compiles any WebAssembly meanwhile (fetch
 * parses HTTP with some), V8 finds them changed under its hands and aborts or crashes. So a program
 * calls this before it does anything of the kind, in its first thread, and hands the others the module.
 */
export function compileKernel(variant: KernelVariant): WebAssembly.Module {
  const known = compiled.get(variant);
  if (known) return known;
  const revectorized = variant === 'wasm-simd-revec';
  const bytes = kernelBytes(variant);
  const module = withOptions(
    [
      ['--no-wasm-inlining', '--wasm-inlining'],
      ['--no-liftoff', '--liftoff'],
      ['--no-wasm-lazy-compilation', '--wasm-lazy-compilation'],
      ...(revectorized && process.arch === 'x64' ? [REVECTORIZE] : []),
    ],
    () => new WebAssembly.Module(bytes),
  );
  compiled.set(variant, module);
  return module;
}

/** From now on this thread uses a module that {@link compileKernel} returned in another one. */
export function adoptKernel(variant: KernelVariant, module: WebAssembly.Module): void {
  compiled.set(variant, module);
}

type Option = readonly [on: string, off: string];
const REVECTORIZE: Option = [
  '--experimental-wasm-revectorize',
  '--no-experimental-wasm-revectorize',
];

/** Runs `work` with V8 options that belong to the process, set back in the opposite order. */
function withOptions<T>(options: readonly Option[], work: () => T): T {
  for (const [on] of options) v8.setFlagsFromString(on);
  try {
    return work();
  } finally {
    for (const [, off] of options.toReversed()) v8.setFlagsFromString(off);
  }
}

/** `scratch`: offset of SCRATCH_LENGTH bytes of the memory that belong to this instance alone. */
export function instantiateKernel(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  scratch: number,
): Kernel {
  const instance = new WebAssembly.Instance(module, { env: { memory, scratch } });
  return instance.exports as unknown as Kernel;
}
