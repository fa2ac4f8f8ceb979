import { parentPort, workerData } from 'node:worker_threads';
import { SCRATCH_LENGTH } from '../../src/crypto/transport-aead.ts';
import { wasmAead } from '../../src/crypto/transport-wasm.ts';
import { adoptKernel } from '../../src/crypto/wasm/loader.ts';
import { type ExplainSetup, WORD } from './explain-setup.ts';

/**
 * A thread of `bench -- explain`: seals packets for a while, in rounds, or answers wake-ups.
 */

const LENGTH = 1420;
const PER_ROUND = 200;
const ROUNDS = 2000;

const { words, variant, module } = workerData as ExplainSetup;

/** Nanoseconds per packet of each round. */
function seal(): number[] {
  adoptKernel(variant, module);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const aead = wasmAead(variant)(memory, 0);
  const at = SCRATCH_LENGTH + 64;
  const round = (): number => {
    const before = performance.now();
    for (let i = 0; i < PER_ROUND; i++) aead.sealNext(SCRATCH_LENGTH, i, 0, at, at, LENGTH);
    return ((performance.now() - before) * 1e6) / PER_ROUND;
  };
  for (let i = 0; i < 50; i++) round();
  parentPort!.postMessage('ready');
  Atomics.wait(words, WORD.start, 0);
  return Array.from({ length: ROUNDS }, round);
}

parentPort!.postMessage(seal());
let seen = 0;
while (Atomics.load(words, WORD.end) === 0) {
  Atomics.wait(words, WORD.ask, seen);
  seen = Atomics.load(words, WORD.ask);
  Atomics.store(words, WORD.answer, seen);
  Atomics.notify(words, WORD.answer);
}
