import type { Finding } from './finding.ts';

export interface KOfNParameters {
  readonly of: number;
  readonly failed: number;
}

/**
 * Cuts when at least `failed` of the last `of` values are under the threshold and the last one is:
 * a node that has recovered while something kept it in is not cut for the past. `amount` is how
 * many of them failed.
 */
export function kOfN(
  values: readonly number[],
  threshold: number,
  { of, failed }: KOfNParameters,
): Finding {
  let amount = 0;
  for (let i = Math.max(0, values.length - of); i < values.length; i++) {
    if (values[i]! < threshold) amount++;
  }
  return { cuts: amount >= failed && values.at(-1)! < threshold, amount };
}
