import { bootNow, monotonicNow } from './clock.ts';

/** Both clocks are read one after the other and tick in different grains. */
const TOLERANCE_MS = 2000;

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
    const before = this.ahead;
    this.ahead = this.difference();
    return this.ahead - before > TOLERANCE_MS;
  }

  private difference(): number {
    return this.boot() * 1000 - this.monotonic();
  }
}
