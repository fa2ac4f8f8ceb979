import type { KernelVariant } from './wasm/kernel-bytes.ts';

/** Implementations of the transport AEAD, the fastest first. */
export const TRANSPORT_AEADS = ['wasm-simd-revec', 'wasm-simd', 'node', 'noble'] as const;
export type TransportAeadName = (typeof TRANSPORT_AEADS)[number];

/**
 * V8 versions (major.minor) on which options that V8 does not promise to keep were tested. A self-test
 * of `wasm-simd-revec` notices wrong results, but cannot notice a compiler that aborts the process.
 */
const TESTED_V8 = ['14.6'];

export function isTestedV8(): boolean {
  return TESTED_V8.includes(process.versions.v8.split('.').slice(0, 2).join('.'));
}

export interface TransportChoice {
  /** Where to begin in {@link TRANSPORT_AEADS}; the environment goes before it. */
  readonly prefer?: TransportAeadName;
  /** MESH_AEAD names an implementation to begin with; MESH_CRYPTO=noble forces noble. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Default: `process.arch`. */
  readonly architecture?: string;
}

/** True if it is the WebAssembly kernel, in one of its variants. */
export function isKernel(name: TransportAeadName): name is KernelVariant {
  return name === 'wasm-simd-revec' || name === 'wasm-simd';
}

/** Where to begin in {@link TRANSPORT_AEADS}. Throws a RangeError if the environment names none of them. */
export function firstChoice(options: TransportChoice): TransportAeadName {
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
  return isTestedV8() ? 'wasm-simd-revec' : 'wasm-simd';
}
