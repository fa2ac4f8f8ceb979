import type { KernelVariant } from '../../src/crypto/wasm/kernel-bytes.ts';

/** Words that `bench -- explain` and each of its threads share. */
export const WORD = { start: 0, ask: 1, answer: 2, end: 3 } as const;

export interface ExplainSetup {
  readonly words: Int32Array;
  readonly variant: KernelVariant;
  readonly module: WebAssembly.Module;
}
