import { number } from '../bounds.ts';
import { beside, percent } from '../decimals.ts';
import { normalQuantile } from '../normal.ts';
import type { CutRule } from './cut-rule.ts';

/** With this confidence (0..1) the quality behind the value is under the threshold. */
export interface ConfidenceParameters {
  readonly level: number;
}

/**
 * Cuts when the quality behind a value is under the threshold with confidence `level`: when the upper
 * end of Wilson's one-sided interval is. `amount` is that end:
 *
 *   (p + z^2/2n + z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n),   z = normal quantile of `level`
 *
 * for a value p that averages n samples. Wilson (1927), JASA 22; it keeps its level well for small n
 * too (Brown, Cai and DasGupta 2001, Statistical Science 16). Scores between 0 and 1 that are not just
 * right or wrong vary less than p(1-p), so for them it errs towards not cutting.
 */
export const confidence: CutRule<ConfidenceParameters> = {
  fields: { confidence: { type: 'number' } },
  read: (cut) => ({ level: cut.confidence as number }),
  write: ({ level }) => ({ confidence: level }),
  complete: (given) => given,
  check: ({ level }, field) => number(`${field}.confidence`, level, 0.5, 0.999999),
  ask({ values, samples, threshold }, { level }) {
    const amount = upperBound(values.at(-1)!, samples, level);
    return { cuts: amount < threshold, amount };
  },
  line: ({ level }) => `when under it with ${percent(level)} confidence`,
  counted({ samples, threshold }, amount, { level }) {
    const bound = beside(amount, threshold, 2);
    return `; with ${percent(level)} confidence it is at most ${bound} (${samples} samples)`;
  },
};

/** Upper end of Wilson's one-sided interval with confidence `level`, 0..1. */
export function upperBound(p: number, n: number, level: number): number {
  const z = normalQuantile(level);
  const z2n = (z * z) / n;
  const spread = z * Math.sqrt((p * (1 - p)) / n + z2n / (4 * n));
  return Math.min(1, (p + z2n / 2 + spread) / (1 + z2n));
}
