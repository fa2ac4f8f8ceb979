import type { Machine } from '../../test/lab/machine.ts';
import { median } from '../../test/lab/statistics.ts';
import type { Values } from './measures.ts';

/** One run of one measure over one path. */
export interface Sample {
  readonly round: number;
  readonly measure: string;
  readonly path: string;
  /** Load average of the machine just before. */
  readonly load: number;
  readonly values: Values;
}

export interface Failure {
  readonly round: number;
  readonly measure: string;
  readonly path: string;
  readonly message: string;
}

export interface Results {
  readonly startedAt: string;
  readonly minutes: number;
  readonly machine: Machine;
  /** Path or implementation -> version. */
  readonly versions: Readonly<Record<string, string>>;
  readonly skipped: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  readonly samples: readonly Sample[];
  readonly failures: readonly Failure[];
}

/** What everything is compared with. */
export const REFERENCE = 'wireguard-go';

/** Values of one metric by round; NaN never is among them. */
export function valuesOf(
  results: Results,
  measure: string,
  path: string,
  metric: string,
): Map<number, number> {
  const found = new Map<number, number>();
  for (const sample of results.samples) {
    if (sample.measure !== measure || sample.path !== path) continue;
    const value = sample.values[metric];
    if (value !== undefined && Number.isFinite(value)) found.set(sample.round, value);
  }
  return found;
}

/** Per round, what `path` measured over what the reference did in the same round. */
export function ratiosOf(
  results: Results,
  measure: string,
  path: string,
  metric: string,
  reference = REFERENCE,
): number[] {
  const references = valuesOf(results, measure, reference, metric);
  const ratios: number[] = [];
  for (const [round, value] of valuesOf(results, measure, path, metric)) {
    const other = references.get(round);
    if (other !== undefined && other !== 0) ratios.push(value / other);
  }
  return ratios;
}

export function medianRatio(
  results: Results,
  measure: string,
  path: string,
  metric: string,
): number | undefined {
  const ratios = ratiosOf(results, measure, path, metric);
  return ratios.length === 0 ? undefined : median(ratios);
}
