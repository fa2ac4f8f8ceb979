import { DEFAULT_SUITE } from '../contract/benchmark.ts';
import type { SuiteStatus } from '../contract/epoch.ts';

/** Who may sign scores of a suite. */
export type AcceptedSigners = 'node' | 'evaluators';

/** One suite that every member must pass. */
export interface SuiteRule {
  readonly suite: string;
  /** Fewest items or runs that a score must average. */
  readonly minSamples: number;
  readonly signers: AcceptedSigners;
}

export interface Policy {
  /** Lowest score that passes, 0..1, inclusive. */
  readonly threshold: number;
  /** Greatest age of a score that passes, seconds, inclusive. */
  readonly freshnessS: number;
  /** Required suites: all of them must pass. */
  readonly suites: readonly SuiteRule[];
}

export const DEFAULT_POLICY: Policy = {
  threshold: 0.7,
  freshnessS: 120,
  suites: [{ suite: DEFAULT_SUITE, minSamples: 1, signers: 'node' }],
};

/** The newest accepted score of a node in a suite. */
export interface Score {
  readonly score: number;
  readonly samples: number;
  /** Controller's wall clock, ms: the older of when it was observed and when it was received. */
  readonly at: number;
}

export type Reason =
  | 'passed'
  | 'no_score'
  | 'score_too_old'
  | 'too_few_samples'
  | 'score_below_threshold'
  | 'removed'
  | 'not_yet_decided';

export interface Verdict {
  readonly allowed: boolean;
  readonly reason: Reason;
  /** The decision in a sentence, with the numbers and the rule. */
  readonly explanation: string;
  /** Lowest score among the required suites, null while one has none. */
  readonly score: number | null;
  /** Age of the oldest of them, seconds; null while one has none. */
  readonly ageS: number | null;
  readonly suites: readonly SuiteStatus[];
}

/** Decides about one node. `scores` are by suite; `now` is the controller's wall clock, ms. */
export function judge(policy: Policy, scores: ReadonlyMap<string, Score>, now: number): Verdict {
  const checks = policy.suites.map((rule) => check(policy, rule, scores.get(rule.suite), now));
  const failed = checks.find((one) => one.reason !== 'passed');
  const numbers = checks.flatMap((one) => (one.score === undefined ? [] : [one.score]));
  const isComplete = numbers.length === checks.length && checks.length > 0;
  return {
    allowed: failed === undefined,
    reason: failed?.reason ?? 'passed',
    explanation: (failed ?? checks[0])?.sentence ?? 'No suite is required.',
    score: isComplete ? Math.min(...numbers.map((one) => one.score)) : null,
    ageS: isComplete ? Math.max(...numbers.map((one) => ageOf(one, now))) : null,
    suites: checks.map(({ rule, score, reason }) => ({
      suite: rule.suite,
      score: score?.score ?? null,
      age_s: score === undefined ? null : ageOf(score, now),
      samples: score?.samples ?? null,
      passed: reason === 'passed',
    })),
  };
}

interface Check {
  readonly rule: SuiteRule;
  readonly score: Score | undefined;
  readonly reason: Reason;
  readonly sentence: string;
}

function check(policy: Policy, rule: SuiteRule, score: Score | undefined, now: number): Check {
  const { threshold, freshnessS } = policy;
  const of = (reason: Reason, sentence: string): Check => ({ rule, score, reason, sentence });
  if (score === undefined) return of('no_score', `No ${rule.suite} score yet.`);
  const age = ageOf(score, now);
  const value = score.score.toFixed(2);
  if (age > freshnessS) {
    return of(
      'score_too_old',
      `The last ${rule.suite} score, ${value}, is ${age.toFixed(0)} s old; at most ${freshnessS} s is fresh.`,
    );
  }
  if (score.samples < rule.minSamples) {
    return of(
      'too_few_samples',
      `The ${rule.suite} score averages ${score.samples} samples; at least ${rule.minSamples} are required.`,
    );
  }
  if (score.score < threshold) {
    // All digits where two would show the threshold itself.
    const shown = value === threshold.toFixed(2) ? String(score.score) : value;
    return of(
      'score_below_threshold',
      `${rule.suite} score ${shown} is below the threshold of ${threshold.toFixed(2)}.`,
    );
  }
  return of(
    'passed',
    `${rule.suite} score ${value} is at least ${threshold.toFixed(2)} and ${age.toFixed(0)} s old (at most ${freshnessS} s).`,
  );
}

/** Seconds; an observation from just ahead of the controller's clock is new, not negative. */
function ageOf(score: Score, now: number): number {
  return Math.max(0, now - score.at) / 1000;
}
