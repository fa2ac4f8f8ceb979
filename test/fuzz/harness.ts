import { setTimeout as sleep } from 'node:timers/promises';
import { programOptions } from '../lab/programs.ts';
import { ResultFuzzer } from './malformed-results.ts';

/**
 * npm run fuzz -- harness [--seed N] [--count N]
 *
 * Has the adapters of harnesses read damaged results (test/fuzz/malformed-results.ts). The same seed
 * makes the same files. Writes a JSON report; exit code 1 if anything was wrong.
 */
const values = programOptions({
  seed: { type: 'string' },
  count: { type: 'string', default: '50000' },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const count = Number(values.count);
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(count) || count < 1) {
  console.error('usage: npm run fuzz -- harness [--seed N] [--count N]');
  process.exit(2);
}

const MEGABYTE = 2 ** 20;
/** How much more may be alive at the end than after the first tenth. */
const MAX_GROWTH = 8 * MEGABYTE;

async function liveBytes(): Promise<number> {
  globalThis.gc?.();
  await sleep(100); // buffers are let go by another thread
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const started = performance.now();
const fuzzer = new ResultFuzzer(seed);
fuzzer.run(Math.ceil(count / 10));
const before = await liveBytes();
const report = fuzzer.run(count - Math.ceil(count / 10));
const growth = (await liveBytes()) - before;
const faults = [...report.faults];
if (globalThis.gc === undefined) faults.push('run with --expose-gc to measure memory');
else if (growth > MAX_GROWTH) faults.push(`${growth} bytes more are alive than at the beginning`);

const seconds = (performance.now() - started) / 1000;
console.log(JSON.stringify({ seed, seconds, growthBytes: growth, ...report, faults }, null, 2));
process.exit(faults.length === 0 ? 0 : 1);
