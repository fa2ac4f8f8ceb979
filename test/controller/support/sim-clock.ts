import type { ControllerClock } from '../../../src/controller/clock.ts';

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/** A controller's clock that moves only when it is told to. */
export class SimClock implements ControllerClock {
  /** How much too early timers fire, ms, as real ones sometimes do. */
  early = 0;
  private time: number;
  private readonly timers = new Set<Timer>();

  constructor(start = 1_700_000_000_000) {
    this.time = start;
  }

  now(): number {
    return this.time;
  }

  after(ms: number, run: () => void): () => void {
    const wait = ms > this.early ? ms - this.early : ms;
    const timer = { at: this.time + Math.max(0, wait), run };
    this.timers.add(timer);
    return () => void this.timers.delete(timer);
  }

  /** Lets `ms` pass; whatever falls due runs at its time, one after the other. */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms;
    for (;;) {
      const [next] = [...this.timers].filter((one) => one.at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.timers.delete(next);
      this.time = Math.max(this.time, next.at);
      next.run();
      await settled();
    }
    this.time = end;
    await settled();
  }

  /** Lets `ms` pass in one leap: the process was stopped, and timers fire late. */
  async leap(ms: number): Promise<void> {
    this.time += ms;
    await this.advance(0);
  }
}

/** Until what was started has reached the store and come back. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 8; i++) await new Promise((resolve) => setImmediate(resolve));
}
