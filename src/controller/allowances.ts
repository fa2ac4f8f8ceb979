export interface AllowanceOptions {
  /** So many at once ... */
  readonly burst: number;
  /** ... and one more in each of these, ms, unless a call names another. */
  readonly intervalMs: number;
  /** Above this many, the one that took longest ago is forgotten. */
  readonly maxKeys: number;
}

/** What each of many may take, now and again: token buckets, kept as the time when each is full. */
export class Allowances {
  private readonly options: AllowanceOptions;
  /** ms of the caller's clock. */
  private readonly fullAt = new Map<string, number>();

  constructor(options: AllowanceOptions) {
    this.options = options;
  }

  /** Whether there is one left. `now`: ms. */
  has(key: string, now: number, intervalMs = this.options.intervalMs): boolean {
    return this.fullAfterOne(key, now, intervalMs) <= now + this.options.burst * intervalMs;
  }

  /** Takes one; what is not there is owed. */
  take(key: string, now: number, intervalMs = this.options.intervalMs): void {
    const fullAt = this.fullAfterOne(key, now, intervalMs);
    this.fullAt.delete(key); // so that the order is that of the last one taken
    this.fullAt.set(key, fullAt);
    if (this.fullAt.size <= this.options.maxKeys) return;
    this.fullAt.delete(this.fullAt.keys().next().value!);
  }

  /** How many it remembers. */
  get size(): number {
    return this.fullAt.size;
  }

  private fullAfterOne(key: string, now: number, intervalMs: number): number {
    return Math.max(now, this.fullAt.get(key) ?? 0) + intervalMs;
  }
}
