import { bootNow, monotonicNow } from './clock.ts';

/**
 * A longer suspend is noticed. Both clocks are read one after the other and tick in different grains,
 * so a shorter one cannot be told from none.
 */
export const TOLERANCE_MS = 2000;

/** Notices that the machine slept: the boot clock runs on then, the monotonic one does not. */
export class SuspendDetector {
  private ahead: number;
  private readonly boot: () => number;
  private readonly monotonic: () => number;

  /** `boot` in s, `monotonic` in ms. */
  constructor(boot: () => number = bootNow, monotonic: () => number = monotonicNow) {
    this.boot = boot;
    this.monotonic = monotonic;
    this.ahead = this.difference();
  }

  /** True if the machine slept since the last call. */
  hasSlept(): boolean {
    return this.sleptFor() > 0;
  }

  /** Seconds for which the machine slept since the last call; 0: it did not. */
  sleptFor(): number {
    const before = this.ahead;
    this.ahead = this.difference();
    const slept = this.ahead - before;
    return slept > TOLERANCE_MS ? slept / 1000 : 0;
  }

  private difference(): number {
    return this.boot() * 1000 - this.monotonic();
  }
}
