import { normalQuantile } from '../normal.ts';
import type { Finding } from './finding.ts';

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
export function confidence(
  value: number,
  samples: number,
  threshold: number,
  { level }: { readonly level: number },
): Finding {
  const amount = upperBound(value, samples, level);
  return { cuts: amount < threshold, amount };
}

/** Upper end of Wilson's one-sided interval with confidence `level`, 0..1. */
export function upperBound(p: number, n: number, level: number): number {
  const z = normalQuantile(level);
  const z2n = (z * z) / n;
  const spread = z * Math.sqrt((p * (1 - p)) / n + z2n / (4 * n));
  return Math.min(1, (p + z2n / 2 + spread) / (1 + z2n));
}
