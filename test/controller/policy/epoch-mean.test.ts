import fc from 'fast-check';
import { expect, test } from 'vitest';
import { epochMean } from '../../../src/controller/policy/epoch-mean.ts';

const at = (receivedAt: number, score: number) => ({ receivedAt, observedAt: receivedAt, score });

test('scores at even distances: their mean', () => {
  expect(epochMean([at(0, 0.6), at(20, 0.9), at(40, 0.6)], 0, 60)).toBeCloseTo(0.7, 12);
});

test('a good score just before the end weighs as long as it stood', () => {
  expect(epochMean([at(-10, 0.3), at(59, 0.9)], 0, 60)).toBeCloseTo((59 * 0.3 + 0.9) / 60, 9);
});

test('a good score after many bad ones weighs no more than each of them', () => {
  const bad = Array.from({ length: 9 }, (_, i) => at(i, 0.6));
  expect(epochMean([...bad, at(9, 0.8)], 0, 60)).toBeCloseTo(0.62, 12);
});

test('many good scores at the end do not outweigh the time before them', () => {
  const good = Array.from({ length: 50 }, (_, i) => at(59 + i / 100, 0.95));
  expect(epochMean([at(0, 0.3), ...good], 0, 60)).toBeLessThan(0.32);
});

test('one score alone is the mean, whenever it came', () => {
  for (const when of [-100, 0, 59, 60]) expect(epochMean([at(when, 0.8)], 0, 60)).toBe(0.8);
});

test('a score that never changes is the mean, to the last bit, whatever the times', () => {
  const times = fc.array(fc.integer({ min: -3_600_000, max: 0 }), { minLength: 1, maxLength: 50 });
  const now = fc.integer({ min: 1, max: 3_600_000 });
  fc.assert(
    fc.property(times, now, fc.integer({ min: 0, max: 1000 }), (some, to, thousandths) => {
      const score = thousandths / 1000;
      expect(
        epochMean(
          some.map((when) => at(when, score)),
          -1_800_000,
          to,
        ),
      ).toBe(score);
    }),
  );
});

test('what adds up to a threshold on paper is not under it', () => {
  expect(epochMean([at(0, 0.6), at(20, 0.7), at(40, 0.8)], 0, 60)).toBe(0.7);
  expect(epochMean([at(0, 0.8), at(20, 0.7), at(40, 0.6)], 0, 60)).toBe(0.7);
});

test('it lies between the lowest and the highest, in whatever order they come', () => {
  const scores = fc.array(
    fc
      .tuple(fc.integer({ min: -100, max: 60 }), fc.double({ min: 0, max: 1, noNaN: true }))
      .map(([when, score]) => at(when, score)),
    { minLength: 1, maxLength: 20 },
  );
  fc.assert(
    fc.property(scores, (some) => {
      const mean = epochMean(some, 0, 60);
      const values = some.map((one) => one.score);
      expect(mean).toBeGreaterThanOrEqual(Math.min(...values) - 1e-9);
      expect(mean).toBeLessThanOrEqual(Math.max(...values) + 1e-9);
      expect(epochMean(some.toReversed(), 0, 60)).toBe(mean);
    }),
  );
});
