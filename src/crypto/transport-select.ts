import { nobleProvider } from './noble.ts';
import { isNodeProviderAvailable, nodeProvider } from './node.ts';
import type { TransportAead, TransportAeadFactory } from './transport-aead.ts';
import { copyingAead } from './transport-copying.ts';
import { memoryKernelFault, transportAeadFault } from './transport-self-test.ts';
import { wasmAead } from './transport-wasm.ts';
import type { KernelVariant } from './wasm/kernel-bytes.ts';
import { compileKernel } from './wasm/loader.ts';
import { type WasmMemoryKernel, wasmMemoryKernel } from './wasm/memory-kernel.ts';

/** Implementations of the transport AEAD, the fastest first. */
export const TRANSPORT_AEADS = ['wasm-simd-revec', 'wasm-simd', 'node', 'noble'] as const;
export type TransportAeadName = (typeof TRANSPORT_AEADS)[number];

export const TRANSPORT_AEAD_FACTORIES: Readonly<Record<TransportAeadName, TransportAeadFactory>> = {
  'wasm-simd-revec': wasmAead('wasm-simd-revec'),
  'wasm-simd': wasmAead('wasm-simd'),
  node: copyingAead(nodeProvider),
  noble: copyingAead(nobleProvider),
};

/**
 * V8 versions (major.minor) on which the experimental options of `wasm-simd-revec` were tested: a
 * self-test notices wrong results, but cannot notice a compiler that aborts the process.
 */
const TESTED_V8 = ['14.6'];

export interface TransportAeadOptions {
  /** Where to begin in {@link TRANSPORT_AEADS}; the environment goes before it. */
  readonly prefer?: TransportAeadName;
  /** Called with one line when an implementation is passed over because it does not work here. */
  readonly log: (message: string) => void;
  /** MESH_AEAD names an implementation to begin with; MESH_CRYPTO=noble forces noble. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Default: `process.arch`. */
  readonly architecture?: string;
  /** Injected by tests. */
  readonly factories?: Readonly<Record<TransportAeadName, TransportAeadFactory>>;
}

/** An implementation that passed its self-test. */
export interface Transport {
  readonly name: TransportAeadName;
  readonly aead: TransportAeadFactory;
  /** Checksums and copies of the same kernel, where it has them. */
  readonly memoryKernel: ((memory: WebAssembly.Memory) => WasmMemoryKernel) | undefined;
  /** What another thread has to adopt to use the same (wasm/loader.ts), where it is compiled. */
  readonly module: WebAssembly.Module | undefined;
}

/**
 * The fastest implementation that works here: each is tested with known answers before it is used,
 * and a failure is logged and leads to the next. Throws if even the last one fails.
 */
export function selectTransport(options: TransportAeadOptions): Transport {
  const factories = options.factories ?? TRANSPORT_AEAD_FACTORIES;
  const first = TRANSPORT_AEADS.indexOf(firstChoice(options));
  for (const name of TRANSPORT_AEADS.slice(first)) {
    const aead = factories[name];
    const fault = faultOf(name, aead);
    if (fault === undefined) {
      const memoryKernel = memoryKernelBeside(name);
      return { name, aead, memoryKernel, module: isKernel(name) ? compileKernel(name) : undefined };
    }
    options.log(`transport AEAD ${name} is not used: ${fault}`);
  }
  throw new Error('no transport AEAD passes its self-test');
}

let chosen: Transport | undefined;

/**
 * What {@link selectTransport} gives, chosen at the first call in this thread. That call is best made
 * before the program has anything else compiled: see {@link compileKernel}.
 */
export function defaultTransport(log: (message: string) => void): Transport {
  chosen ??= selectTransport({ log });
  return chosen;
}

/** {@link selectTransport} for one memory. */
export function selectTransportAead(
  memory: WebAssembly.Memory,
  scratch: number,
  options: TransportAeadOptions,
): TransportAead {
  return selectTransport(options).aead(memory, scratch);
}

function memoryKernelBeside(name: TransportAeadName): Transport['memoryKernel'] {
  return isKernel(name) ? (memory) => wasmMemoryKernel(memory, name) : undefined;
}

function isKernel(name: TransportAeadName): name is KernelVariant {
  return name === 'wasm-simd-revec' || name === 'wasm-simd';
}

function faultOf(name: TransportAeadName, create: TransportAeadFactory): string | undefined {
  if (name === 'node' && !isNodeProviderAvailable()) return 'node:crypto lacks a primitive';
  const memoryKernel = memoryKernelBeside(name);
  try {
    return transportAeadFault(create) ?? (memoryKernel && memoryKernelFault(memoryKernel));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function firstChoice(options: TransportAeadOptions): TransportAeadName {
  const environment = options.environment ?? process.env;
  if (environment.MESH_CRYPTO === 'noble') return 'noble';
  const wanted = environment.MESH_AEAD;
  if (wanted !== undefined && wanted !== '') {
    const name = TRANSPORT_AEADS.find((known) => known === wanted);
    if (name !== undefined) return name;
    throw new RangeError(
      `MESH_AEAD is ${JSON.stringify(wanted)}; expected one of ${TRANSPORT_AEADS.join(', ')}`,
    );
  }
  if (options.prefer !== undefined) return options.prefer;
  // V8 has the option on x64 only, and prints an error where it is not.
  if ((options.architecture ?? process.arch) !== 'x64') return 'wasm-simd';
  const v8 = process.versions.v8.split('.').slice(0, 2).join('.');
  return TESTED_V8.includes(v8) ? 'wasm-simd-revec' : 'wasm-simd';
}
