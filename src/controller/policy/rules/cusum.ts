import type { CutParameters } from '../../policy.ts';
import type { Finding } from './finding.ts';

export interface CusumParameters {
  readonly ref: number;
  readonly h: number;
}

/** Sums of decimals that reach `h` on paper do so here. */
const ROUNDING = 1e-9;

/**
 * Cuts when what the values lack of `ref`, summed and never below zero, reaches `h`, and the last one
 * lacks something. `amount` is that sum; past `h` it does not grow. Page (1954), Continuous inspection
 * schemes, Biometrika 41.
 *
 * @param sum the sum before `value`
 */
export function cusum(sum: number, value: number, parameters: CusumParameters): Finding {
  const amount = next(sum, value, parameters);
  return { cuts: amount >= parameters.h - ROUNDING && value < parameters.ref, amount };
}

/** The sum after one more value; zero where the rule is another one. */
export function addToSum(sum: number, value: number, cut: CutParameters): number {
  return cut.kind === 'cusum' ? next(sum, value, cut) : 0;
}

/** The sum after all of the values, from nothing. */
export function sumOf(values: readonly number[], parameters: CusumParameters): number {
  return values.reduce((sum, value) => next(sum, value, parameters), 0);
}

function next(sum: number, value: number, { ref, h }: CusumParameters): number {
  return Math.min(h, Math.max(0, sum + ref - value));
}
