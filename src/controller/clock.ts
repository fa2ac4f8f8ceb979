/** All the time a controller knows. Injected, so that an outage of minutes runs in milliseconds. */
export interface ControllerClock {
  /** Wall clock, ms since 1970. May be wrong and may jump. */
  wall(): number;
  /** ms, monotonic: what schedules epochs. */
  monotonic(): number;
  /** Calls `run` after `ms`; returns what cancels it. */
  after(ms: number, run: () => void): () => void;
}

export const systemClock: ControllerClock = {
  wall: Date.now,
  monotonic: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, Math.max(0, ms));
    return () => clearTimeout(timer);
  },
};
