import { randomInt } from 'node:crypto';
import { ENDPOINT } from '../../wire/endpoint.ts';

/** Sources are told apart by the bucket that a salted hash of their address falls into. */
const BUCKETS = 256;
/** What each bucket may send control in a window, ms, when control is behind. */
const PER_WINDOW = 4;
const WINDOW = 20;

/**
 * Shares the queue to control among sources when there is no room for all: a flood from one address
 * fills its own share, and whoever else wants a handshake gets in beside it. Addresses that are made up
 * fill all shares alike; then everybody waits, as they would without.
 */
export class HandshakeShares {
  private readonly taken = new Uint8Array(BUCKETS);
  private readonly salt = randomInt(2 ** 32);
  private windowEnd = 0;

  /** Whether the source at `endpoint` (ENDPOINT's layout) has something left at `now`, ms. */
  take(memory: Uint8Array, endpoint: number, now: number): boolean {
    if (now >= this.windowEnd) {
      this.taken.fill(0);
      this.windowEnd = now + WINDOW;
    }
    const bucket = this.bucketOf(memory, endpoint);
    if (this.taken[bucket]! >= PER_WINDOW) return false;
    this.taken[bucket]!++;
    return true;
  }

  /** An IPv4 address, or the /64 of an IPv6 one: whoever has one of those has them all. */
  private bucketOf(memory: Uint8Array, endpoint: number): number {
    const length = memory[endpoint + ENDPOINT.family] === 4 ? 4 : 8;
    let hash = this.salt;
    for (let i = 0; i < length; i++) {
      hash = Math.imul(hash ^ memory[endpoint + ENDPOINT.address + i]!, 0x0100_0193); // FNV-1a
    }
    return (hash ^ (hash >>> 15)) & (BUCKETS - 1);
  }
}
