import { setTimeout as delay } from 'node:timers/promises';
import { bootNow, monotonicNow } from '../ground/clock.ts';

/** All the time an agent knows. Injected, so that hours of it run in a test in milliseconds. */
export interface AgentClock {
  /** Seconds since boot, suspend included (CLOCK_BOOTTIME): lifetimes count on this one. */
  boot(): number;
  /** ms, monotonic, not running during suspend. */
  monotonic(): number;
  /** Wall clock, ms since 1970. May be wrong and may jump. */
  wall(): number;
  /** Resolves after `ms`, or at once when `signal` aborts; it never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: AgentClock = {
  boot: bootNow,
  monotonic: monotonicNow,
  wall: Date.now,
  async sleep(ms, signal) {
    await delay(Math.max(0, ms), undefined, { signal }).catch(() => {});
  },
};

/** Uniform in [0, 1); jitter, not secrets. */
export type RandomNumber = () => number;
