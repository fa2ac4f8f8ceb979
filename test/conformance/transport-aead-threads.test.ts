import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { seededBytes } from '../lab/random.ts';
import { AREA, type ThreadSetup } from './transport-aead-thread.ts';

interface Outcome {
  readonly name: string;
  readonly failures: number;
}

function outcomeOf(setup: ThreadSetup): Promise<Outcome> {
  const worker = new Worker(new URL('./transport-aead-thread.ts', import.meta.url), {
    workerData: setup,
  });
  return new Promise((settle, fail) => {
    worker.once('message', settle);
    worker.once('error', fail);
  });
}

test('threads that start at once compile, and work side by side on one memory', async () => {
  const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  const lengths = [96, 1420, 5000];
  const outcomes = lengths.map((length, thread) => {
    const area = thread * AREA.length;
    bytes.set(seededBytes(thread)(32), area + AREA.key);
    bytes.set(seededBytes(100 + thread)(length), area + AREA.packet);
    return outcomeOf({ memory, area, length, rounds: 3000 });
  });
  for (const { name, failures } of await Promise.all(outcomes)) {
    expect(name).toBe(process.arch === 'x64' ? 'wasm-simd-revec' : 'wasm-simd');
    expect(failures).toBe(0);
  }
});
