/** Median; of an even number, the mean of the two in the middle. Throws without values. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/**
 * Quantile by linear interpolation between the two nearest values (`share` 0..1): definition 7 of
 * Hyndman and Fan (1996). Throws without values.
 */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('no values');
  const sorted = [...values].sort((a, b) => a - b);
  const position = (sorted.length - 1) * share;
  const below = Math.floor(position);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (high - low) * (position - below);
}

/** Where values lie; in their own unit. */
export interface Distribution {
  readonly count: number;
  readonly min: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
  readonly mean: number;
}

/** Quantiles as {@link quantile} has them, rounded to `digits`. Throws without values. */
export function distribution(values: readonly number[], digits = 2): Distribution {
  const round = (value: number) => Number(value.toFixed(digits));
  return {
    count: values.length,
    min: round(quantile(values, 0)),
    p50: round(quantile(values, 0.5)),
    p90: round(quantile(values, 0.9)),
    p99: round(quantile(values, 0.99)),
    max: round(quantile(values, 1)),
    mean: round(values.reduce((sum, value) => sum + value, 0) / values.length),
  };
}

/** What a table says about one value that was measured in several rounds. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
}

export function summarise(values: readonly number[]): Summary {
  return {
    median: median(values),
    min: Math.min(...values),
    max: Math.max(...values),
    rounds: values.length,
  };
}
