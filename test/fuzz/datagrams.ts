import { programOptions } from '../lab/programs.ts';
import { Fuzzer } from './malformed.ts';

/**
 * npm run fuzz -- datagrams [--seed N] [--count N]
 *
 * Throws malformed datagrams at a device with peers (test/fuzz/malformed.ts). The same seed
 * makes the same datagrams. Writes a JSON report; exit code 1 if anything was wrong.
 */
const values = programOptions({
  seed: { type: 'string' },
  count: { type: 'string', default: '10000000' },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const count = Number(values.count);
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(count) || count < 1) {
  console.error('usage: npm run fuzz -- datagrams [--seed N] [--count N]');
  process.exit(2);
}

const MEGABYTE = 2 ** 20;
/** How much more may be alive at the end than after the first tenth. */
const MAX_GROWTH = 8 * MEGABYTE;

function liveBytes(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const started = performance.now();
let shownAt = started;
const fuzzer = new Fuzzer(seed);
const show = (datagrams: number): void => {
  const now = performance.now();
  if (now - shownAt < 2000) return;
  shownAt = now;
  const rate = Math.round(datagrams / ((now - started) / 1000));
  process.stderr.write(`seed ${seed}: ${datagrams} of ${count} datagrams, ${rate} a second\n`);
};

fuzzer.run(Math.ceil(count / 10), (report) => show(report.datagrams));
const before = liveBytes();
const report = fuzzer.run(count - Math.ceil(count / 10), ({ datagrams }) => show(datagrams));
const growth = liveBytes() - before;
const faults = [...report.faults];
if (globalThis.gc === undefined) faults.push('run with --expose-gc to measure memory');
else if (growth > MAX_GROWTH) faults.push(`${growth} bytes more are alive than at the beginning`);

const seconds = (performance.now() - started) / 1000;
console.log(JSON.stringify({ seed, seconds, growthBytes: growth, ...report, faults }, null, 2));
process.exit(faults.length === 0 ? 0 : 1);
