import { exactly } from '../../../contract/from-schema.ts';
import { number } from '../bounds.ts';
import { beside, decimals, shown } from '../decimals.ts';
import { MOST_VALUES } from '../most-values.ts';
import type { CutRule } from './cut-rule.ts';

/** What values lack of `ref`, summed and never below zero, is at least `h`. */
export interface CusumParameters {
  readonly ref: number;
  readonly h: number;
}

/** The reference of one that names none is the threshold. */
type GivenCusum = Pick<CusumParameters, 'h'> & { readonly ref?: number | undefined };

/** Sums of decimals that reach `h` on paper do so here. */
const ROUNDING = 1e-9;

/**
 * Cuts when what the values lack of `ref`, summed and never below zero, reaches `h`, and the last one
 * lacks something. `amount` is that sum; past `h` it does not grow. Page (1954), Continuous inspection
 * schemes, Biometrika 41.
 */
export const cusum: CutRule<CusumParameters, GivenCusum> = {
  fields: { cusum: exactly({ h: { type: 'number' } }, { ref: { type: 'number' } }) },
  read: (cut) => cut.cusum as GivenCusum,
  write: ({ ref, h }) => ({ cusum: { ref, h } }),
  complete: (given, threshold) => ({ ...given, ref: given.ref ?? threshold }),
  check({ ref, h }, field) {
    number(`${field}.cusum.ref`, ref, 0, 1);
    number(`${field}.cusum.h`, h, 0.001, MOST_VALUES);
  },
  ask({ values, sum }, parameters) {
    const value = values.at(-1)!;
    const amount = nextSum(sum, value, parameters);
    return { cuts: amount >= parameters.h - ROUNDING && value < parameters.ref, amount };
  },
  line: ({ ref, h }) => `when scores together are ${decimals(h, 2)} short of ${decimals(ref, 2)}`,
  counted({ values, threshold }, amount, { ref, h }) {
    if (amount === 0) return '';
    const sum = amount >= h ? decimals(h, 2) : beside(amount, h, 2);
    const list = shown(values, values.length, threshold);
    return `; together ${sum} short of ${decimals(ref, 2)} (cut at ${decimals(h, 2)}): ${list}`;
  },
};

/** The sum after all of the values, from nothing. */
export function sumOf(values: readonly number[], parameters: CusumParameters): number {
  return values.reduce((sum, value) => nextSum(sum, value, parameters), 0);
}

/** The sum after one more value. */
export function nextSum(sum: number, value: number, { ref, h }: CusumParameters): number {
  return Math.min(h, Math.max(0, sum + ref - value));
}
