import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { REJECT_AFTER_MESSAGES, REPLAY_WINDOW } from '../../src/session/limits.ts';
import { REPLAY_WINDOW_LENGTH, ReplayWindow } from '../../src/session/replay-window.ts';

/** Between two others, which it must leave alone. */
function newWindow(): ReplayWindow {
  return new ReplayWindow(new Int32Array((REPLAY_WINDOW_LENGTH / 4) * 3), 1);
}

const accept = (window: ReplayWindow, counter: bigint): boolean =>
  window.accept(Number(counter & 0xffffffffn), Number(counter >> 32n));

/** Remembers every counter: slow, unbounded, obviously right. */
class NaiveWindow {
  private readonly seen = new Set<bigint>();
  private greatest = 0n;

  accept(counter: bigint): boolean {
    if (counter >= REJECT_AFTER_MESSAGES) return false;
    if (this.greatest - counter > BigInt(REPLAY_WINDOW)) return false;
    if (this.seen.has(counter)) return false;
    this.seen.add(counter);
    if (counter > this.greatest) this.greatest = counter;
    return true;
  }
}

const LIMIT = BigInt(REPLAY_WINDOW) + 1n;

/** [case, counter, accepted], in this order on one window. */
const CASES: [number, bigint, boolean][] = [
  [1, 0n, true],
  [2, 1n, true],
  [3, 1n, false],
  [4, 9n, true],
  [5, 8n, true],
  [6, 7n, true],
  [7, 7n, false],
  [8, LIMIT, true],
  [9, LIMIT - 1n, true],
  [10, LIMIT - 1n, false],
  [11, LIMIT - 2n, true],
  [12, 2n, true],
  [13, 2n, false],
  [14, LIMIT + 16n, true],
  [15, 3n, false],
  [16, LIMIT + 16n, false],
  [17, LIMIT * 4n, true],
  [18, LIMIT * 4n - (LIMIT - 1n), true],
  [19, 10n, false],
  [20, LIMIT * 4n - LIMIT, false],
  [21, LIMIT * 4n - (LIMIT + 1n), false],
  [22, LIMIT * 4n - (LIMIT - 2n), true],
  [23, LIMIT * 4n + 1n - LIMIT, false],
  [24, 0n, false],
  [25, 0xffffffffn, true],
  [26, 0x1_00000000n, true],
  [27, 0x1_00000000n, false],
  [28, 0xffffffffn, false],
  [29, 0xfffffffen, true],
  [30, 0x1_00000000n - BigInt(REPLAY_WINDOW), true],
  [31, 0x1_00000000n - BigInt(REPLAY_WINDOW) - 1n, false],
  [32, 2n ** 53n, true],
  [33, 2n ** 53n + 1n, true],
  [34, 2n ** 53n, false],
  [35, 2n ** 60n, true],
  [36, 2n ** 60n - 1n, true],
  [37, 2n ** 60n - 1n, false],
  [38, REJECT_AFTER_MESSAGES, false],
  [39, 2n ** 64n - 1n, false],
  [40, REJECT_AFTER_MESSAGES - 1n, true],
  [41, REJECT_AFTER_MESSAGES - 1n, false],
  [42, REJECT_AFTER_MESSAGES - 2n, true],
  [43, REJECT_AFTER_MESSAGES - 1n - BigInt(REPLAY_WINDOW), true],
  [44, REJECT_AFTER_MESSAGES - 2n - BigInt(REPLAY_WINDOW), false],
  [45, 0n, false],
];

describe('replay window', () => {
  test('decides the numbered boundary cases as specified', () => {
    const window = newWindow();
    for (const [number, counter, expected] of CASES) {
      expect([number, accept(window, counter)]).toEqual([number, expected]);
    }
  });

  test('takes a whole window backwards, each counter once', () => {
    const window = newWindow();
    expect(accept(window, LIMIT)).toBe(true);
    for (let counter = LIMIT - 1n; counter >= 1n; counter--) {
      expect(accept(window, counter)).toBe(true);
    }
    for (let counter = 0n; counter <= LIMIT; counter++) expect(accept(window, counter)).toBe(false);
  });

  test('takes a whole window forwards after one far ahead of it', () => {
    const window = newWindow();
    const ahead = 2n ** 40n + LIMIT;
    expect(accept(window, ahead)).toBe(true);
    for (let counter = ahead - LIMIT + 1n; counter < ahead; counter++) {
      expect(accept(window, counter)).toBe(true);
    }
    expect(accept(window, ahead - LIMIT)).toBe(false);
  });

  test('has forgotten everything after a reset', () => {
    const window = newWindow();
    accept(window, 2n ** 60n);
    window.reset();
    expect(accept(window, 0n)).toBe(true);
    expect(accept(window, 0n)).toBe(false);
  });

  test('lies in its own words of the memory, and zeros there are a new window', () => {
    const length = REPLAY_WINDOW_LENGTH / 4;
    const words = new Int32Array(3 * length);
    const [before, behind] = [length - 1, 2 * length];
    words[before] = 1;
    words[behind] = 1;
    const window = new ReplayWindow(words, 1);
    for (let counter = 0n; counter < 20_000n; counter++) expect(accept(window, counter)).toBe(true);
    expect(accept(new ReplayWindow(words, 1), 19_999n)).toBe(false);
    window.reset();
    expect(words[before]).toBe(1);
    expect(words[behind]).toBe(1);
    words.fill(0, length, 2 * length);
    expect(accept(window, 0n)).toBe(true);
  });

  test('can be moved to another, and back', () => {
    const window = newWindow();
    expect(accept(window, 5n)).toBe(true);
    window.moveTo(2);
    expect(accept(window, 5n)).toBe(true);
    window.moveTo(1);
    expect(accept(window, 5n)).toBe(false);
  });

  test('takes each counter once from threads that ask at the same time', async () => {
    const buffer = new SharedArrayBuffer(REPLAY_WINDOW_LENGTH);
    const taken = new SharedArrayBuffer(200_000);
    const url = new URL('./replay-asker.ts', import.meta.url);
    const workers = [0, 1].map(() => new Worker(url, { workerData: { buffer, taken } }));
    await Promise.all(workers.map((worker) => once(worker, 'exit')));
    const counts = new Uint8Array(taken);
    expect(counts.some((count) => count > 1)).toBe(false);
    // A thread that is far behind the other finds its counters too old: that they are rejected, too.
    expect(counts.filter((count) => count === 1).length).toBeGreaterThan(100_000);
  });

  test('agrees with a window that remembers everything', () => {
    const start = fc.constantFrom(
      0n,
      100_000n,
      2n ** 32n - 4000n,
      2n ** 53n - 100n,
      2n ** 60n,
      REJECT_AFTER_MESSAGES - 20_000n,
    );
    const step = fc.oneof(
      fc.integer({ min: -40, max: 40 }),
      fc.integer({ min: -REPLAY_WINDOW - 80, max: -REPLAY_WINDOW + 80 }),
      fc.integer({ min: -9000, max: 9000 }),
      fc.constantFrom(8127, 8128, 8129, 8160, 8191, 8192, 8193, 16384),
    );
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 300 }), (first, steps) => {
        const window = newWindow();
        const naive = new NaiveWindow();
        let greatest = first;
        expect(accept(window, first)).toBe(naive.accept(first));
        for (const by of steps) {
          let counter = greatest + BigInt(by);
          if (counter < 0n) counter = -counter;
          if (counter > 2n ** 64n - 1n) counter = 2n ** 64n - 1n;
          const expected = naive.accept(counter);
          expect(accept(window, counter)).toBe(expected);
          if (expected && counter > greatest) greatest = counter;
        }
      }),
      { numRuns: 400 },
    );
  });
});
