import type { SuiteRule } from '../policy.ts';
import { MOST_VALUES } from './most-values.ts';
import { nextSum, sumOf } from './rules/cusum.ts';

/**
 * What is carried from epoch to epoch about a node in one suite: values, one an epoch at most. The
 * last one is open: what is decided out of turn within the same epoch replaces it, so that an extra
 * epoch counts no score twice.
 */
export interface Track {
  /** Oldest first, since the node was cut or let in again. */
  readonly values: readonly number[];
  /** CUSUM before the last of `values`, and the reference that it was made with. */
  readonly sum: number;
  readonly ref: number;
  /** When the last value was opened, and the newest score in it received. Controller's clock, ms. */
  readonly openedAt: number;
  readonly heardAt: number;
}

export const EMPTY_TRACK: Track = { heardAt: 0, openedAt: 0, ref: 0, sum: 0, values: [] };

/** What is judged: fresh, and made of scores that were received up to `heardAt`. */
export interface Value {
  readonly score: number;
  readonly heardAt: number;
}

/**
 * The track with the present value in it: a new one if something was heard since the last and at
 * least half an epoch has passed, otherwise the last one as it is now. So a measurement that takes
 * several epochs counts once.
 */
export function withValue(
  before: Track,
  rule: SuiteRule,
  { score, heardAt }: Value,
  now: number,
  epochMs: number,
): Track {
  const track = inTermsOf(before, rule);
  const { values } = track;
  const isNew = heardAt > track.heardAt && now - track.openedAt >= epochMs / 2;
  if (values.length > 0 && !isNew) {
    return { ...track, values: [...values.slice(0, -1), score] };
  }
  const kept = values.length < MOST_VALUES ? values : values.slice(1);
  const { cut } = rule;
  const isSummed = cut.kind === 'cusum' && values.length > 0;
  const sum = isSummed ? nextSum(track.sum, values.at(-1)!, cut) : 0;
  return { heardAt, openedAt: now, ref: track.ref, sum, values: [...kept, score] };
}

/** The same values under the policy in force, which may have changed since. */
function inTermsOf(track: Track, rule: SuiteRule): Track {
  if (rule.cut.kind !== 'cusum' || rule.cut.ref === track.ref) return track;
  return { ...track, ref: rule.cut.ref, sum: sumOf(track.values.slice(0, -1), rule.cut) };
}
