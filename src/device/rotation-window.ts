/** Own tuning: how many handshakes are under way at first, and at most. */
const LEAST = 2;
const MOST = 64;
/** Own tuning, ms: an answer that has not come after so many times the usual time will not come ... */
const PATIENCE_FACTOR = 4;
/** ... but never before, nor later than, this. */
const PATIENCE = { least: 250, most: 1500 };
/** Own tuning, ms: an answer that took so much longer than the fastest had to wait for others. */
const QUEUEING = 10;
/** Own tuning, ms: then the fastest answer is forgotten, for paths become longer, too. */
const FORGET_AFTER = 600_000;

/** Who goes first when there is room: smaller numbers do. */
export type Rank = 0 | 1 | 2;

/**
 * The rotation handshakes that a device has under way by itself. At an epoch everyone wants one with
 * everyone. All at once they would wait for each other until all answers come too late, and each
 * attempt that is repeated meanwhile makes the queue longer. So a few are under way, the others wait
 * here; more of them only while that makes no answer slower. One that is not answered makes room,
 * too: absent peers must not hold up the present ones.
 */
export class RotationWindow<P> {
  /** When each was sent, the oldest first. */
  private readonly underWay = new Map<P, number>();
  private readonly waiting: readonly Set<P>[] = [new Set<P>(), new Set<P>(), new Set<P>()];
  private size = LEAST;
  /** How long an answer usually takes, and the fastest of late, ms. */
  private usual = PATIENCE.least / PATIENCE_FACTOR;
  private fastest = Number.POSITIVE_INFINITY;
  private fastestSince = Number.NEGATIVE_INFINITY;

  /** How long an answer is likely still to come, ms. Nothing is repeated before. */
  get patience(): number {
    return Math.min(PATIENCE.most, Math.max(PATIENCE.least, this.usual * PATIENCE_FACTOR));
  }

  isUnderWay(peer: P): boolean {
    return this.underWay.has(peer);
  }

  isWaiting(peer: P): boolean {
    return this.waiting.some((peers) => peers.has(peer));
  }

  wait(peer: P, rank: Rank): void {
    this.waiting[rank]!.add(peer);
  }

  /** The next one to start at `now`, if there is room for one. */
  take(now: number): P | undefined {
    this.giveUp(now);
    if (this.underWay.size >= Math.floor(this.size)) return undefined;
    for (const peers of this.waiting) {
      for (const peer of peers) {
        peers.delete(peer);
        return peer;
      }
    }
    return undefined;
  }

  /** When there will be room for one that waits, at the latest. */
  nextAt(): number {
    if (this.waiting.every((peers) => peers.size === 0)) return Number.POSITIVE_INFINITY;
    for (const sentAt of this.underWay.values()) return sentAt + this.patience;
    return Number.NEGATIVE_INFINITY;
  }

  sent(peer: P, now: number): void {
    this.underWay.delete(peer);
    this.underWay.set(peer, now);
  }

  answered(peer: P, now: number): void {
    const sentAt = this.underWay.get(peer);
    if (sentAt === undefined) return;
    this.underWay.delete(peer);
    const took = now - sentAt;
    this.usual += (took - this.usual) / 8;
    if (took <= this.fastest || now - this.fastestSince >= FORGET_AFTER) {
      this.fastest = took;
      this.fastestSince = now;
    }
    const change = took <= 2 * this.fastest + QUEUEING ? 1 / this.size : -0.5;
    this.size = Math.min(MOST, Math.max(LEAST, this.size + change));
  }

  /** It needs no handshake any more. */
  forget(peer: P): void {
    this.underWay.delete(peer);
    for (const peers of this.waiting) peers.delete(peer);
  }

  clear(): void {
    this.underWay.clear();
    for (const peers of this.waiting) peers.clear();
  }

  private giveUp(now: number): void {
    for (const [peer, sentAt] of this.underWay) {
      if (now - sentAt < this.patience) return;
      this.underWay.delete(peer);
    }
  }
}
