import { DEVICE, type PacketMemory } from './memory.ts';

/** Own tuning, ms: how often a thread that moves packets looks at the clock ... */
const CHECK_INTERVAL = 250;
/** ... and how long one without packets may wait before it looks again. */
const MAX_WAIT = 1000;

/**
 * Until when the device's keys may be used, in memory that all data threads read. Each lets go of its
 * keys by itself when that time has passed: control may stand still just then, and what it would do
 * about it never reaches a data thread. It counts on the boot clock, which no wrong wall clock and no
 * suspend stretches.
 */
export class Lease {
  private readonly memory: PacketMemory;
  private readonly boot: () => number;
  private checkAt = 0;

  /** `boot`: seconds since boot, suspend included. */
  constructor(memory: PacketMemory, boot: () => number) {
    this.memory = memory;
    this.boot = boot;
  }

  /** Control: keys may be used until then (boot clock, seconds). The first call makes it count. */
  extend(until: number): void {
    this.memory.f64[DEVICE.leaseUntil >> 3] = until;
    Atomics.store(this.memory.i32, DEVICE.leased >> 2, 1);
  }

  /** Whether keys are to be let go of. `now` in ms of the monotonic clock; cheap to ask. */
  isOver(now: number): boolean {
    if (now < this.checkAt || !this.counts) return false;
    this.checkAt = now + CHECK_INTERVAL;
    return this.isOut;
  }

  /** Whether it has run out just now; a lease that was never given does not. */
  get isOut(): boolean {
    return this.counts && this.boot() >= this.memory.f64[DEVICE.leaseUntil >> 3]!;
  }

  /** How long (ms) to wait for packets before asking again; undefined: as long as it takes. */
  get patience(): number | undefined {
    return this.counts ? MAX_WAIT : undefined;
  }

  private get counts(): boolean {
    return Atomics.load(this.memory.i32, DEVICE.leased >> 2) !== 0;
  }
}
