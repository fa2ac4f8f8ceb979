/** Requests of one address that may fail verification at once ... */
const BURST = 100;
/** ... and how many again in a second. */
const PER_SECOND = 5;
/** Above this many addresses, those whose budget is whole are forgotten. */
const MAX_ADDRESSES = 10_000;

/**
 * What verifying costs is paid by whoever sends what does not verify: an address that has done so too
 * often is turned away before anything of it is verified. Who sends true signatures never pays.
 */
export class AddressBudget {
  private readonly now: () => number;
  /** When each address's budget is whole again, ms of `now`. */
  private readonly wholeAt = new Map<string, number>();

  /** `now`: a clock in ms. */
  constructor(now: () => number) {
    this.now = now;
  }

  isSpent(address: string): boolean {
    const wholeAt = this.wholeAt.get(address);
    return wholeAt !== undefined && wholeAt - this.now() > (BURST / PER_SECOND) * 1000;
  }

  /** Something from this address did not verify. */
  charge(address: string): void {
    const now = this.now();
    const wholeAt = Math.max(now, this.wholeAt.get(address) ?? 0) + 1000 / PER_SECOND;
    this.wholeAt.set(address, wholeAt);
    if (this.wholeAt.size <= MAX_ADDRESSES) return;
    for (const [one, at] of this.wholeAt) if (at <= now) this.wholeAt.delete(one);
    // All of them busy at it: the oldest pays no more, and memory stays bounded.
    const oldest = this.wholeAt.keys().next().value;
    if (this.wholeAt.size > MAX_ADDRESSES && oldest !== undefined) this.wholeAt.delete(oldest);
  }
}
