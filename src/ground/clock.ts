import { uptime } from 'node:os';

/**
 * What to add to this thread's performance.now() to get CLOCK_MONOTONIC in ms. performance.now()
 * counts from the thread's own start, but costs no allocation, so the offset is taken once.
 */
const offset = monotonicOffset();

function monotonicOffset(): number {
  let best = Number.POSITIVE_INFINITY;
  let found = 0;
  for (let round = 0; round < 5; round++) {
    const before = performance.now();
    const monotonic = Number(process.hrtime.bigint()) / 1e6;
    const after = performance.now();
    if (after - before < best) {
      best = after - before; // the narrowest of a few, in case the thread was preempted between
      found = monotonic - (before + after) / 2;
    }
  }
  return found;
}

/** Monotonic time in ms, the same on all threads of this process to well under a millisecond. */
export function monotonicNow(): number {
  return performance.now() + offset;
}

/** Seconds since boot including suspend (CLOCK_BOOTTIME on Linux). */
export function bootNow(): number {
  return uptime();
}
