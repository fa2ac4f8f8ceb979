import { REJECT_AFTER_MESSAGES_HIGH, REJECT_AFTER_MESSAGES_LOW, REPLAY_WINDOW } from './limits.ts';

/** Ring of 8192 bits; the words between the usable window and the ring's size are being reused. */
const WORDS = 256;
/** Words behind the ring. */
const GREATEST_LOW = WORDS;
const GREATEST_HIGH = WORDS + 1;
const LOCK = WORDS + 2;

/** Words of a window in memory: whole cache lines. */
const LENGTH = WORDS + 16;
export const REPLAY_WINDOW_LENGTH = LENGTH * 4;

/** How often to try for the lock before the processor is left to whoever has it, for this long (ms). */
const SPINS = 200;
const LOCK_INTERVAL = 0.05;

/**
 * Which of the latest counters have been seen (paper 5.4.6, algorithm of RFC 6479). A counter may
 * lag behind the greatest one by at most REPLAY_WINDOW. To be asked only about authenticated
 * messages. Counters are two u32 halves: a JS number stops at 2^53, and a BigInt would be
 * allocated for every packet.
 *
 * It lies in memory that several threads may share; zeros are a window that has seen nothing.
 */
export class ReplayWindow {
  private readonly words: Int32Array;
  private start: number;

  /** The window with this number of those that lie in `words`, one after the other. */
  constructor(words: Int32Array, number: number) {
    this.words = words;
    this.start = number * LENGTH;
  }

  /** From now on it is the window with this number. */
  moveTo(number: number): void {
    this.start = number * LENGTH;
  }

  /** True, and remembered, if the message with this counter was not seen before and may be taken. */
  accept(low: number, high: number): boolean {
    const { words, start } = this;
    if (high === REJECT_AFTER_MESSAGES_HIGH && low >= REJECT_AFTER_MESSAGES_LOW) return false;

    const greatestLow = words[start + GREATEST_LOW]! >>> 0;
    const greatestHigh = words[start + GREATEST_HIGH]! >>> 0;
    // Differences of 64-bit numbers as doubles: exact where they are small enough to matter.
    const ahead = (high - greatestHigh) * 0x1_0000_0000 + (low - greatestLow);
    if (ahead > 0) {
      const word = low >>> 5;
      const newWords = (high - greatestHigh) * 0x800_0000 + (word - (greatestLow >>> 5));
      if (newWords >= WORDS) words.fill(0, start, start + WORDS);
      else for (let i = 0; i < newWords; i++) words[start + ((word - i) & (WORDS - 1))] = 0;
      words[start + GREATEST_LOW] = low;
      words[start + GREATEST_HIGH] = high;
    } else if (-ahead > REPLAY_WINDOW) {
      return false;
    }

    const index = start + ((low >>> 5) & (WORDS - 1));
    const bit = 1 << (low & 31);
    const before = words[index]!;
    if ((before & bit) !== 0) return false;
    words[index] = before | bit;
    return true;
  }

  /** `accept` for a window that several threads ask: one after the other. */
  acceptShared(low: number, high: number): boolean {
    const { words } = this;
    const lock = this.start + LOCK;
    for (let spins = 0; Atomics.compareExchange(words, lock, 0, 1) !== 0; spins++) {
      // Held for some ten stores, unless the thread that holds it lost its processor just then.
      if (spins >= SPINS) Atomics.wait(words, lock, 1, LOCK_INTERVAL);
    }
    const accepted = this.accept(low, high);
    Atomics.store(words, lock, 0);
    return accepted;
  }

  /** Nothing has been seen any more. Only while no thread may ask. */
  reset(): void {
    this.words.fill(0, this.start, this.start + LENGTH);
  }
}
