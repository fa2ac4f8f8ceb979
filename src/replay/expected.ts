import {
  failureShare,
  memberShare,
  runLength,
  type ValueModel,
} from '../controller/policy/run-lengths.ts';
import type { Policy, SuiteRule } from '../controller/policy.ts';
import type { Population, Simulation } from './simulation.ts';

/** What formulas say of a policy under a simulation; null where there is no formula. */
export interface Expected {
  /** Epochs until a good node is cut for nothing: of those of whom it is soonest. */
  readonly good_run: number | null;
  /** Epochs until a node that is bad from the start of one is cut: of those of whom it is latest. */
  readonly bad_run: number | null;
  /** Of all that are never bad. */
  readonly false_cuts_a_day: number | null;
  /** Least and greatest of any population. */
  readonly good_member_share: number | null;
  readonly bad_member_share: number | null;
}

const DAY_S = 86_400;
/** Of a mean whose epochs are nearly independent: the last report of the one before weighs less than this part. */
const FEWEST_REPORTS = 4;

/** By the first suite; of reports that are independent, alike and none of them lost. */
export function expected(policy: Policy, simulation: Simulation): Expected {
  const rule = policy.suites[0]!;
  const { populations, epochS } = simulation;
  const isPlain = simulation.bias === 0 && populations.every(isSteady);
  const found = (quality: (one: Population) => number | undefined) =>
    populations.flatMap((one) => {
      const mean = quality(one);
      return mean === undefined ? [] : [{ one, ...of(rule, one, epochS, mean) }];
    });
  const steady = found((one) => (one.bad === null ? one.mean : undefined));
  // Also of those that are bad at times there is a good time.
  const good = steady.length > 0 ? steady : found((one) => one.mean);
  const bad = found((one) => one.bad?.mean);
  const figure = (
    values: readonly (number | undefined)[],
    take: (values: readonly number[]) => number,
  ) =>
    isPlain && values.length > 0 && values.every((one) => one !== undefined) ? take(values) : null;
  const daily = steady.map(({ one, cycle }) => cycle && (one.nodes * DAY_S) / epochS / cycle);
  return {
    good_run: figure(
      good.map((one) => one.run),
      least,
    ),
    bad_run: figure(
      bad.map((one) => one.run),
      most,
    ),
    false_cuts_a_day: figure([0, ...daily], (values) => values.reduce((sum, one) => sum + one)),
    good_member_share: figure(
      good.map((one) => one.share),
      least,
    ),
    bad_member_share: figure(
      bad.map((one) => one.share),
      most,
    ),
  };
}

const least = (values: readonly number[]) => Math.min(...values);
const most = (values: readonly number[]) => Math.max(...values);

function isSteady({ decay, swing, loss, bad }: Population): boolean {
  return decay === 0 && swing === 0 && loss === 0 && (bad?.gaming ?? 'none') === 'none';
}

function of(rule: SuiteRule, population: Population, epochS: number, quality: number) {
  const model = modelOf(rule, population, epochS, quality);
  if (model === undefined) return undefined;
  const run = runLength(rule.cut, rule.threshold, model);
  if (run === undefined) return undefined;
  const share = memberShare(run, rule.back, failureShare(rule.readmit, model));
  return { run, share, cycle: share > 0 ? run / share : Number.POSITIVE_INFINITY };
}

/**
 * Of an epoch's value: the mean of r independent reports varies by the root of r less. Undefined where a
 * report is in the means of two epochs for a good part of each: those are not independent.
 */
function modelOf(
  rule: SuiteRule,
  { intervalS, items, deviation }: Population,
  epochS: number,
  quality: number,
): ValueModel | undefined {
  const reports = rule.score === 'mean' ? Math.round(epochS / intervalS) : 1;
  if (rule.score === 'mean' && reports < FEWEST_REPORTS) return undefined;
  return items > 0
    ? { kind: 'binomial', items: items * reports, quality }
    : { kind: 'normal', mean: quality, deviation: deviation / Math.sqrt(reports) };
}
