import { uptime } from 'node:os';

/** All the time a controller knows. Injected, so that an outage of minutes runs in milliseconds. */
export interface ControllerClock {
  /**
   * ms since 1970, an integer that never goes back and is never set. Nodes learn this time from
   * answers, so it need not be right, only steady: a step of the wall clock must neither deny
   * everyone nor let an old score live on.
   */
  now(): number;
  /** Calls `run` after `ms`; returns what cancels it. */
  after(ms: number, run: () => void): () => void;
}

/** Where time comes from, ms: `boot` counts while the machine sleeps, `monotonic` does not. */
export interface TimeSources {
  readonly wall: () => number;
  readonly monotonic: () => number;
  readonly boot: () => number;
}

const SYSTEM: TimeSources = {
  wall: Date.now,
  monotonic: () => performance.now(),
  boot: () => uptime() * 1000,
};

/** The boot clock running ahead of the monotonic one by more than this means suspend, ms. */
const SUSPENDED = 1500;
/** Reading the boot clock costs a system call or more: at most this often, ms. */
const BOOT_INTERVAL = 1000;

/**
 * The wall clock as it is now, or `notBefore` if that is later (the newest time that is stored: the
 * wall clock was set back while no controller ran), continued by clocks that nobody sets.
 */
export function steadyClock(notBefore: number, sources = SYSTEM): ControllerClock {
  const { wall, monotonic, boot } = sources;
  let base = Math.max(wall(), notBefore) - monotonic();
  let ahead = boot() - monotonic();
  let lookedAt = monotonic();
  return {
    now() {
      const now = monotonic();
      if (now - lookedAt >= BOOT_INTERVAL) {
        lookedAt = now;
        const slept = boot() - now - ahead;
        if (slept > SUSPENDED) {
          base += slept;
          ahead += slept;
        }
      }
      return Math.floor(base + now);
    },
    after(ms, run) {
      const timer = setTimeout(run, Math.max(0, Math.ceil(ms)));
      return () => clearTimeout(timer);
    },
  };
}
