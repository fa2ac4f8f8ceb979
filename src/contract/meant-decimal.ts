/** A score has at most this many decimals. */
export const SCORE_DECIMALS = 9;
const UNIT = 10 ** SCORE_DECIMALS;

/**
 * The decimal fraction that is meant: sums and means of such fractions are off by some 10^-16 in floating
 * point, and the mean of .6, .7 and .8 comes out as 0.6999999999999998.
 */
export function meantDecimal(value: number): number {
  return Math.round(value * UNIT) / UNIT;
}
