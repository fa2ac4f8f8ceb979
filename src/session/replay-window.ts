import { REJECT_AFTER_MESSAGES_HIGH, REJECT_AFTER_MESSAGES_LOW, REPLAY_WINDOW } from './limits.ts';

/** Ring of 8192 bits; the words between the usable window and the ring's size are being reused. */
const WORDS = 256;

/**
 * Which of the latest counters have been seen (paper 5.4.6, algorithm of RFC 6479). A counter may
 * lag behind the greatest one by at most REPLAY_WINDOW. To be asked only about authenticated
 * messages. Counters are two u32 halves: a JS number stops at 2^53, and a BigInt would be
 * allocated for every packet.
 */
export class ReplayWindow {
  private readonly seen = new Int32Array(WORDS);
  private greatestLow = 0;
  private greatestHigh = 0;

  /** True, and remembered, if the message with this counter was not seen before and may be taken. */
  accept(low: number, high: number): boolean {
    const { seen } = this;
    if (high === REJECT_AFTER_MESSAGES_HIGH && low >= REJECT_AFTER_MESSAGES_LOW) return false;

    // Differences of 64-bit numbers as doubles: exact where they are small enough to matter.
    const ahead = (high - this.greatestHigh) * 0x1_0000_0000 + (low - this.greatestLow);
    if (ahead > 0) {
      const word = low >>> 5;
      const newWords = (high - this.greatestHigh) * 0x800_0000 + (word - (this.greatestLow >>> 5));
      if (newWords >= WORDS) seen.fill(0);
      else for (let i = 0; i < newWords; i++) seen[(word - i) & (WORDS - 1)] = 0;
      this.greatestLow = low;
      this.greatestHigh = high;
    } else if (-ahead > REPLAY_WINDOW) {
      return false;
    }

    const index = (low >>> 5) & (WORDS - 1);
    const bit = 1 << (low & 31);
    const before = seen[index]!;
    if ((before & bit) !== 0) return false;
    seen[index] = before | bit;
    return true;
  }

  /** Nothing has been seen any more. */
  reset(): void {
    this.seen.fill(0);
    this.greatestLow = 0;
    this.greatestHigh = 0;
  }
}
