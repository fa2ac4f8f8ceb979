import { expect, test } from 'vitest';
import { distribution, median, quantile, summarise } from './statistics.ts';

test('medians and quantiles of odd and even numbers of values, in any order', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(quantile([10, 20, 30, 40, 50], 0.9)).toBeCloseTo(46);
  expect(quantile([7], 0.99)).toBe(7);
  expect(() => median([])).toThrow(RangeError);
});

test('a distribution is made of the same quantiles, rounded', () => {
  const values = [50, 10, 30, 20, 40.126];
  expect(distribution(values)).toEqual({
    count: 5,
    min: 10,
    p50: 30,
    p90: 46.05,
    p99: 49.61,
    max: 50,
    mean: 30.03,
  });
  expect(distribution(values, 0).p90).toBe(46);
  expect(summarise(values)).toEqual({ median: 30, min: 10, max: 50, rounds: 5 });
});
