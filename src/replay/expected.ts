import {
  failureShare,
  memberShare,
  runLength,
  type ValueModel,
} from '../controller/policy/run-lengths.ts';
import type { Policy, SuiteRule } from '../controller/policy.ts';
import type { Simulation } from './simulate.ts';

/** What formulas say of a policy under a simulation, of one node; null where there is no formula. */
export interface Expected {
  /** Epochs until a good node is cut for nothing. */
  readonly good_run: number | null;
  /** Epochs until a node that is bad from the start of one is cut. */
  readonly bad_run: number | null;
  readonly false_cuts_a_day: number | null;
  readonly good_member_share: number | null;
  readonly bad_member_share: number | null;
}

const DAY_S = 86_400;

/** By the first suite; of reports that are independent, alike and none of them lost. */
export function expected(policy: Policy, simulation: Simulation): Expected {
  const rule = policy.suites[0]!;
  const { mean, badMean, nodes, bad, epochS } = simulation;
  const good = isPlain(simulation) ? of(rule, simulation, mean) : undefined;
  const failing = isPlain(simulation) ? of(rule, simulation, badMean) : undefined;
  const daily = good && ((nodes - bad) * DAY_S) / epochS / good.cycle;
  return {
    good_run: good?.run ?? null,
    bad_run: failing?.run ?? null,
    false_cuts_a_day: daily ?? null,
    good_member_share: good?.share ?? null,
    bad_member_share: failing?.share ?? null,
  };
}

function isPlain({ decay, swing, loss, bias, gaming }: Simulation): boolean {
  return decay === 0 && swing === 0 && loss === 0 && bias === 0 && gaming === 'none';
}

function of(rule: SuiteRule, simulation: Simulation, quality: number) {
  const model = modelOf(rule, simulation, quality);
  const run = runLength(rule.cut, rule.threshold, model);
  if (run === undefined) return undefined;
  const share = memberShare(run, rule.back, failureShare(rule.readmit, model));
  return { run, share, cycle: share > 0 ? run / share : Number.POSITIVE_INFINITY };
}

/** Of an epoch's value: the mean of r independent reports varies by the root of r less. */
function modelOf(rule: SuiteRule, simulation: Simulation, quality: number): ValueModel {
  const { epochS, intervalS, items, deviation } = simulation;
  const reports = rule.score === 'mean' ? Math.max(1, Math.round(epochS / intervalS)) : 1;
  return items > 0
    ? { kind: 'binomial', items: items * reports, quality }
    : { kind: 'normal', mean: quality, deviation: deviation / Math.sqrt(reports) };
}
