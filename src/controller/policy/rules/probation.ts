import type { Finding } from './finding.ts';

/**
 * Whether a node that was cut for its scores stays out: until `back` values in a row are at least
 * `readmit`. `amount` is how many the last ones are.
 */
export function probation(
  values: readonly number[],
  { readmit, back }: { readonly readmit: number; readonly back: number },
): Finding {
  let amount = 0;
  while (amount < values.length && values[values.length - 1 - amount]! >= readmit) amount++;
  return { cuts: amount < back, amount };
}
