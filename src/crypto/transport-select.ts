import { nobleProvider } from './noble.ts';
import { isNodeProviderAvailable, nodeProvider } from './node.ts';
import type { TransportAead, TransportAeadFactory } from './transport-aead.ts';
import {
  firstChoice,
  isKernel,
  TRANSPORT_AEADS,
  type TransportAeadName,
  type TransportChoice,
} from './transport-choice.ts';
import { copyingAead } from './transport-copying.ts';
import { memoryKernelFault, transportAeadFault } from './transport-self-test.ts';
import { wasmAead } from './transport-wasm.ts';
import { compileKernel } from './wasm/loader.ts';
import { type WasmMemoryKernel, wasmMemoryKernel } from './wasm/memory-kernel.ts';

export const TRANSPORT_AEAD_FACTORIES: Readonly<Record<TransportAeadName, TransportAeadFactory>> = {
  'wasm-simd-revec': wasmAead('wasm-simd-revec'),
  'wasm-simd': wasmAead('wasm-simd'),
  node: copyingAead(nodeProvider),
  noble: copyingAead(nobleProvider),
};

export interface TransportAeadOptions extends TransportChoice {
  /** Called with one line when an implementation is passed over because it does not work here. */
  readonly log: (message: string) => void;
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

function faultOf(name: TransportAeadName, create: TransportAeadFactory): string | undefined {
  if (name === 'node' && !isNodeProviderAvailable()) return 'node:crypto lacks a primitive';
  const memoryKernel = memoryKernelBeside(name);
  try {
    return transportAeadFault(create) ?? (memoryKernel && memoryKernelFault(memoryKernel));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
