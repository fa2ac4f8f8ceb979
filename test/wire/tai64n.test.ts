import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  encodeTai64n,
  isAfterTai64n,
  TAI64N_LENGTH,
  TAI64N_STEP_NANOSECONDS,
} from '../../src/wire/tai64n.ts';

const nanoseconds = fc.bigInt({ min: 0n, max: 4_000_000_000n * 1_000_000_000n });

test('the label of 1970 is 2^62 + 10 seconds, as wireguard-go has it', () => {
  expect(encodeTai64n(0n).toHex()).toBe('400000000000000a00000000');
  expect(encodeTai64n(1_000_000_000n).toHex()).toBe('400000000000000b00000000');
});

test('only the upper eight bits of the nanoseconds are told', () => {
  fc.assert(
    fc.property(nanoseconds, (time) => {
      const label = encodeTai64n(time);
      expect(label).toHaveLength(TAI64N_LENGTH);
      expect([label[9], label[10], label[11]]).toEqual([0, 0, 0]);
      const told = new DataView(label.buffer).getUint32(8);
      const exact = Number(time % 1_000_000_000n);
      expect(told).toBeLessThanOrEqual(exact);
      expect(exact - told).toBeLessThan(2 ** 24);
    }),
  );
});

test('a step later is always a later label', () => {
  fc.assert(
    fc.property(nanoseconds, (time) => {
      const next = encodeTai64n(time + TAI64N_STEP_NANOSECONDS);
      expect(isAfterTai64n(next, encodeTai64n(time))).toBe(true);
    }),
  );
  // Right at the end of a second, where the nanoseconds start again.
  for (let before = 0n; before < 2n ** 25n; before += 999_983n) {
    const time = 5_000_000_000n - before;
    const next = encodeTai64n(time + TAI64N_STEP_NANOSECONDS);
    expect(isAfterTai64n(next, encodeTai64n(time))).toBe(true);
  }
});

test('labels compare as the times they stand for', () => {
  fc.assert(
    fc.property(nanoseconds, nanoseconds, (a, b) => {
      const [first, second] = [encodeTai64n(a), encodeTai64n(b)];
      expect(isAfterTai64n(first, second)).toBe(first.toHex() > second.toHex());
      expect(isAfterTai64n(first, first)).toBe(false);
    }),
  );
});
