import { encodeTai64n, TAI64N_STEP_NANOSECONDS } from '../wire/tai64n.ts';
import type { HandshakeMemory } from './peer.ts';

/** The dates on initiations: a peer takes none that is not later than the last one it saw. */
export class HandshakeDates {
  private readonly wallClock: () => number;
  private earliest = { time: 0, at: 0 };
  private latest = 0;

  /** `wallClock`: ms since 1970. */
  constructor(wallClock: () => number) {
    this.wallClock = wallClock;
  }

  /** The latest date so far, ms since 1970; undefined before the first. */
  get until(): number | undefined {
    return this.latest === 0 ? undefined : this.latest;
  }

  /** From `now` on initiations are dated no earlier than `time` (ms since 1970), as time goes on. */
  from(time: number, now: number): void {
    if (time > this.noEarlier(now)) this.earliest = { time, at: now };
  }

  /** The next label to a peer: strictly increasing, also if the wall clock steps back. */
  next(memory: HandshakeMemory, now: number): Uint8Array {
    const time = Math.max(this.wallClock(), this.noEarlier(now));
    const date = BigInt(Math.floor(time)) * 1_000_000n;
    const afterLast = memory.sentTimestamp + TAI64N_STEP_NANOSECONDS;
    const next = date > afterLast ? date : afterLast;
    memory.sentTimestamp = next;
    this.latest = Math.max(this.latest, Number(next / 1_000_000n));
    return encodeTai64n(next);
  }

  private noEarlier(now: number): number {
    return this.earliest.time + (now - this.earliest.at);
  }
}
