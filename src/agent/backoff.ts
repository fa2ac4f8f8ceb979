import type { RandomNumber } from './clock.ts';

/**
 * Waiting times after failures: full jitter over an exponentially growing bound, so that agents
 * that lost the controller together do not come back together.
 */
export class Backoff {
  private readonly firstMs: number;
  private readonly capMs: number;
  private readonly random: RandomNumber;
  private failures = 0;

  constructor(firstMs: number, capMs: number, random: RandomNumber) {
    this.firstMs = firstMs;
    this.capMs = capMs;
    this.random = random;
  }

  /** ms to wait after one more failure: between half the bound and the bound. */
  next(): number {
    const bound = Math.min(this.capMs, this.firstMs * 2 ** Math.min(this.failures, 30));
    this.failures++;
    return bound * (0.5 + this.random() / 2);
  }

  reset(): void {
    this.failures = 0;
  }
}
