import { setImmediate as turn } from 'node:timers/promises';
import type { AgentClock } from '../../src/agent/clock.ts';

/** As with real timers: what is left of a wait by rounding (1e-12 ms) must not be slept in no time, for ever. */
export const SHORTEST_SLEEP_MS = 1;

interface Timer {
  readonly at: number;
  readonly wake: () => void;
}

/** WebCrypto calls under way: they run on other threads, and simulated time waits for them. */
let underWay = 0;

for (const name of ['deriveBits', 'exportKey', 'generateKey', 'importKey', 'sign'] as const) {
  const prototype = SubtleCrypto.prototype as unknown as Record<
    string,
    (...a: unknown[]) => unknown
  >;
  const original = prototype[name]!;
  prototype[name] = async function counted(this: SubtleCrypto, ...values: unknown[]) {
    underWay++;
    try {
      return await original.apply(this, values);
    } finally {
      underWay--;
    }
  };
}

/** Time that passes only when told to. */
export class SimClock implements AgentClock {
  /** ms that the wall clock is wrong by. */
  wallError = 0;
  private now = 1_000_000;
  private suspendedMs = 0;
  private timers: Timer[] = [];

  boot(): number {
    return (this.now + this.suspendedMs) / 1000;
  }

  monotonic(): number {
    return this.now;
  }

  wall(): number {
    return Math.round(1_700_000_000_000 + this.now + this.suspendedMs + this.wallError);
  }

  /** The right wall clock, as the controller has it. */
  trueWall(): number {
    return this.wall() - this.wallError;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const timer: Timer = { at: this.now + Math.max(SHORTEST_SLEEP_MS, ms), wake: resolve };
      this.timers.push(timer);
      signal.addEventListener(
        'abort',
        () => {
          this.timers = this.timers.filter((other) => other !== timer);
          resolve();
        },
        { once: true },
      );
    });
  }

  suspend(ms: number): void {
    this.suspendedMs += ms;
  }

  /** Lets `ms` pass, timer by timer, with everything settled in between. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms;
    await this.settle();
    for (;;) {
      const next = this.timers.reduce<Timer | undefined>(
        (first, timer) => (first && first.at <= timer.at ? first : timer),
        undefined,
      );
      if (!next || next.at > end) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.now = Math.max(this.now, next.at);
      next.wake();
      await this.settle();
    }
    this.now = end;
    await this.settle();
  }

  /** Until nothing moves any more. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 12; quiet++) {
      await turn();
      if (underWay > 0) quiet = 0;
    }
  }
}
