import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { bootNow, monotonicNow } from '../../src/ground/clock.ts';

/** ms: a thread may lose its processor between two readings of a clock. */
const TOLERANCE = 20;

test('all threads read the same monotonic time', async () => {
  const module = new URL('../../src/ground/clock.ts', import.meta.url).href;
  const worker = new Worker(
    `import('${module}').then(({ monotonicNow }) => {
       const { parentPort } = require('node:worker_threads');
       parentPort.once('message', () => parentPort.postMessage(monotonicNow()));
       parentPort.postMessage('ready');
     });`,
    { eval: true, execArgv: [] },
  );
  await once(worker, 'message');
  const before = monotonicNow();
  worker.postMessage('now');
  const [there] = (await once(worker, 'message')) as [number];
  const after = monotonicNow();
  await worker.terminate();
  expect(there).toBeGreaterThanOrEqual(before - TOLERANCE);
  expect(there).toBeLessThanOrEqual(after + TOLERANCE);
});

test('monotonic time is CLOCK_MONOTONIC in ms', () => {
  const hrtime = () => Number(process.hrtime.bigint()) / 1e6;
  const [before, now, after] = [hrtime(), monotonicNow(), hrtime()];
  expect(now).toBeGreaterThanOrEqual(before - TOLERANCE);
  expect(now).toBeLessThanOrEqual(after + TOLERANCE);
});

test('boot time is at least as far as monotonic time', () => {
  expect(bootNow() + 1).toBeGreaterThanOrEqual(monotonicNow() / 1000);
});
