import { describe, expect, test } from 'vitest';
import {
  failureShare,
  inARowRunLength,
  kOfNRunLength,
  memberShare,
  runLength,
  type ValueModel,
} from '../../../src/controller/policy/run-lengths.ts';
import { CUTS } from './support/cuts.ts';
import { measureMemberShare, measureRunLength } from './support/measure.ts';

const normal = (mean: number, deviation: number): ValueModel => ({
  kind: 'normal',
  mean,
  deviation,
});
const items = (count: number, quality: number): ValueModel => ({
  kind: 'binomial',
  items: count,
  quality,
});

describe('exact run lengths are those worked out elsewhere', () => {
  test.each([
    ['1 of 1', 0.85, 0.05, 741, 0],
    ['2 of 2', 0.85, 0.05, 549_521, 0],
    ['2 of 3', 0.85, 0.05, 275_316, 0],
    ['3 of 5', 0.85, 0.05, 6.81e7, 1e5],
    ['1 of 1', 0.9, 0.1, 43.96, 2],
    ['2 of 3', 0.9, 0.1, 1021, 0],
    ['3 of 5', 0.9, 0.1, 15_402, 0],
    ['2 of 3', 0.85, 0.1, 131, 0],
    ['2 of 3', 0.6, 0.05, 2.05, 2],
    ['2 of 3', 0.65, 0.1, 3.04, 2],
  ] as const)('%s of N(%d, %d): %d epochs', (name, mean, deviation, epochs, digits) => {
    const length = runLength(CUTS[name], 0.7, normal(mean, deviation))!;
    if (epochs > 1e6) expect(Math.abs(length / epochs - 1)).toBeLessThan(0.001);
    else expect(length).toBeCloseTo(epochs, digits === 0 ? -0.31 : digits);
  });

  test.each([
    [50, 0.2, 0.85, 1.16e6],
    [50, 0.2, 0.65, 2.63],
    [20, 0.3, 0.85, 4709],
    [20, 0.3, 0.65, 3.54],
    [50, 0.3, 0.9, 2.5329e14], // in exact fractions: 253286676570792.84
  ])('CUSUM of %d items, h %d, quality %d: %d epochs', (count, h, quality, epochs) => {
    const length = runLength({ kind: 'cusum', ref: 0.75, h }, 0.7, items(count, quality))!;
    expect(Math.abs(length / epochs - 1)).toBeLessThan(0.005);
  });

  test('a window of n with n failures is a run, and one of one the plain rule', () => {
    expect(kOfNRunLength(1, 1, 0.2)).toBeCloseTo(5, 12);
    expect(kOfNRunLength(3, 3, 0.2)).toBeCloseTo(inARowRunLength(3, 0.2), 12);
    expect(inARowRunLength(3, 1)).toBe(3);
  });

  test('what has no exact figure here says so', () => {
    const sure = { kind: 'confidence', level: 0.95 } as const;
    expect(runLength(sure, 0.7, normal(0.8, 0.1))).toBeUndefined();
    const wide = { kind: 'k_of_n', of: 11, failed: 2 } as const;
    expect(runLength(wide, 0.7, normal(0.8, 0.1))).toBeUndefined();
  });
});

describe('the real rules, measured, have the exact run length within their confidence interval', () => {
  test.each([
    ['1 of 1', normal(0.9, 0.1)],
    ['1 of 1', normal(0.65, 0.05)],
    ['2 of 2', normal(0.85, 0.1)],
    ['3 of 3', normal(0.65, 0.1)],
    ['2 of 3', normal(0.85, 0.1)],
    ['2 of 3', normal(0.65, 0.1)],
    ['3 of 5', normal(0.8, 0.1)],
    ['3 of 5', normal(0.6, 0.05)],
    ['cusum .75 .2', items(20, 0.85)],
    ['cusum .75 .2', items(50, 0.65)],
    ['cusum .75 .3', items(20, 0.7)],
    ['cusum .70 .15', items(20, 0.75)],
    ['cusum .70 .15', normal(0.8, 0.1)],
    ['cusum .70 .15', normal(0.65, 0.05)],
    ['confidence .95', items(50, 0.7)],
    ['confidence .95', items(20, 0.5)],
  ] as const)('%s of %o', (name, model) => {
    const exact = runLength(CUTS[name], 0.7, model)!;
    const { mean, halfWidth } = measureRunLength(CUTS[name], 0.7, model, 300, 7);
    expect(halfWidth).toBeLessThan(exact * 0.25);
    expect(Math.abs(mean - exact)).toBeLessThan(halfWidth);
  });

  test.each([
    ['1 of 1', 1, 0.1587],
    ['2 of 2', 1, 0.2921],
    ['2 of 2', 3, 0.0087],
  ] as const)('member share of N(.65, .05) with %s and back after %d', (name, back, published) => {
    const model = normal(0.65, 0.05);
    const exact = memberShare(runLength(CUTS[name], 0.7, model)!, back, failureShare(0.7, model));
    expect(exact).toBeCloseTo(published, 4);
    const measured = measureMemberShare(CUTS[name], back, 0.7, model, 60_000, 3);
    expect(Math.abs(measured - exact)).toBeLessThan(0.006);
  });
});
