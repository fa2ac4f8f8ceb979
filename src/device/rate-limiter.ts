/** Handshake messages a source may send under load: 20 a second, bursts of 5, as the official ones. */
const PACKETS_PER_SECOND = 20;
const BURST = 5;
const COST_MS = 1000 / PACKETS_PER_SECOND;
const CAPACITY_MS = COST_MS * BURST;
/** Own tuning: sources remembered; their addresses were proven by a cookie, so few are expected. */
const MAX_SOURCES = 16_384;

interface Bucket {
  credit: number;
  at: number;
}

/** Token bucket per source network: an IPv4 address or an IPv6 /64. Bounded; refuses when full. */
export class RateLimiter {
  private readonly buckets = new Map<string, Bucket>();
  private collectedAt = 0;

  /** `address`: 4 or 16 bytes. */
  allow(address: Uint8Array, now: number): boolean {
    this.collect(now);
    const key = sourceNetwork(address);
    const bucket = this.buckets.get(key);
    if (bucket === undefined) {
      if (this.buckets.size >= MAX_SOURCES) return false;
      this.buckets.set(key, { credit: CAPACITY_MS - COST_MS, at: now });
      return true;
    }
    bucket.credit = Math.min(CAPACITY_MS, bucket.credit + (now - bucket.at));
    bucket.at = now;
    if (bucket.credit < COST_MS) return false;
    bucket.credit -= COST_MS;
    return true;
  }

  get size(): number {
    return this.buckets.size;
  }

  /** Once a second, forgets sources whose bucket is full again. */
  private collect(now: number): void {
    if (now - this.collectedAt < 1000) return;
    this.collectedAt = now;
    for (const [key, bucket] of this.buckets) {
      if (now - bucket.at >= CAPACITY_MS) this.buckets.delete(key);
    }
  }
}

function sourceNetwork(address: Uint8Array): string {
  return (address.length === 4 ? address : address.subarray(0, 8)).join('.');
}
