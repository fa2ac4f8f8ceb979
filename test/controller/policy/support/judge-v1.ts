/** Judgement as it was before there were rules, word for word: what policies of version 1 go on meaning. */
import { DEFAULT_SUITE } from '../../../../src/contract/benchmark.ts';
import type { SuiteStatus } from '../../../../src/contract/epoch.ts';

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

/** The newest accepted score of one signer about a node in a suite. Times: controller's clock, ms. */
export interface Score {
  readonly suite: string;
  /** `keyid` of who signed it. */
  readonly signer: string;
  readonly score: number;
  readonly samples: number;
  readonly observedAt: number;
  readonly receivedAt: number;
}

export type Reason =
  | 'passed'
  | 'no_score'
  | 'score_too_old'
  | 'too_few_samples'
  | 'score_below_threshold'
  | 'no_config_fetched';

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

/** `keyid`s whose scores count for a rule, about the node that is judged. */
export type SignersOf = (rule: SuiteRule) => readonly string[];

/**
 * Decides about one node at `now`. Where several evaluators are accepted, their last words are taken
 * together by medians only, so that f liars of 2f+1 decide nothing: neither by what they say of the
 * score, the samples or the time, nor by silence, nor beside an honest one that is late.
 */
export function judge(
  policy: Policy,
  scores: readonly Score[],
  signersOf: SignersOf,
  now: number,
): Verdict {
  const checks = policy.suites.map((rule) => check(policy, rule, scores, signersOf(rule), now));
  const failed = checks.find((one) => !one.status.passed);
  return {
    allowed: failed === undefined,
    reason: failed?.reason ?? 'passed',
    explanation: (failed ?? checks[0])?.sentence ?? 'No suite is required.',
    score: extreme(checks, 'score', Math.min),
    ageS: extreme(checks, 'age_s', Math.max),
    suites: checks.map((one) => one.status),
  };
}

/**
 * True if every required suite has as many scores as it needs that were received at `since` or later,
 * and observed at `observedSince` or later: what was on its way through an outage is old on arrival.
 */
export function hasReportedSince(
  policy: Policy,
  scores: readonly Score[],
  signersOf: SignersOf,
  since: number,
  observedSince: number,
): boolean {
  const recent = scores.filter((one) => one.receivedAt >= since && one.observedAt >= observedSince);
  return policy.suites.every((rule) => {
    const signers = signersOf(rule);
    return recent.filter(countsFor(rule, signers)).length >= majority(signers.length);
  });
}

interface Check {
  readonly status: SuiteStatus;
  readonly reason: Reason;
  readonly sentence: string;
}

function check(
  policy: Policy,
  rule: SuiteRule,
  scores: readonly Score[],
  signers: readonly string[],
  now: number,
): Check {
  const { threshold, freshnessS } = policy;
  const { suite, minSamples } = rule;
  const needed = majority(signers.length);
  const known = scores.filter(countsFor(rule, signers));
  // A word that rests on too little is none at all: absent, it cannot speak for the others.
  const counted = known.filter((one) => one.samples >= minSamples);
  if (counted.length < needed) {
    const tooFew = known.length >= needed;
    const samples = tooFew ? lowerMedian(known.map((one) => one.samples)) : null;
    const nothing = { suite, score: null, age_s: null, samples, passed: false };
    const sentence = tooFew
      ? tooFewSamples(suite, minSamples, known, counted.length, needed)
      : known.length === 0
        ? `No ${suite} score yet.`
        : `No ${suite} score yet: ${known.length} of the ${needed} evaluators needed have reported.`;
    return { status: nothing, reason: tooFew ? 'too_few_samples' : 'no_score', sentence };
  }
  const score = lowerMedian(counted.map((one) => one.score));
  const samples = lowerMedian(counted.map((one) => one.samples));
  // As old as the one that makes the majority: so many are that fresh, whatever the others say.
  const age = counted.map((one) => ageOf(one, now)).toSorted((x, y) => x - y)[needed - 1]!;
  const of = (reason: Reason, sentence: string): Check => {
    const passed = reason === 'passed';
    return { status: { suite, score, age_s: age, samples, passed }, reason, sentence };
  };
  const value = beside(score, threshold, 2);
  const old = beside(age, freshnessS, 0);
  const limit = decimals(threshold, 2);
  if (age > freshnessS) {
    return of(
      'score_too_old',
      `The last ${suite} score, ${value}, is ${old} s old; at most ${freshnessS} s is fresh.`,
    );
  }
  if (score < threshold) {
    return of(
      'score_below_threshold',
      `${suite} score ${value} is below the threshold of ${limit}.`,
    );
  }
  return of(
    'passed',
    `${suite} score ${value} is at least ${limit} and ${old} s old (at most ${freshnessS} s).`,
  );
}

function tooFewSamples(
  suite: string,
  minSamples: number,
  known: readonly Score[],
  counted: number,
  needed: number,
): string {
  if (known.length === 1) {
    return `The ${suite} score averages ${known[0]!.samples} samples; at least ${minSamples} are required.`;
  }
  return `${counted} of the ${needed} evaluators needed have one of ${suite} with at least ${minSamples} samples.`;
}

function countsFor(rule: SuiteRule, signers: readonly string[]): (score: Score) => boolean {
  return (score) => score.suite === rule.suite && signers.includes(score.signer);
}

/** Seconds, from the older of observation and receipt; what was observed just ahead is new. */
function ageOf(score: Score, now: number): number {
  return Math.max(0, now - Math.min(score.observedAt, score.receivedAt)) / 1000;
}

function majority(signers: number): number {
  return Math.floor(signers / 2) + 1;
}

function lowerMedian(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)]!;
}

function extreme(
  checks: readonly Check[],
  field: 'score' | 'age_s',
  pick: (...values: number[]) => number,
): number | null {
  const values = checks.map((one) => one.status[field]);
  return values.length > 0 && values.every((one) => one !== null) ? pick(...values) : null;
}

/** At least `least` decimals, and as many more as the number has. */
function decimals(value: number, least: number): string {
  const own = String(value).split('.')[1]?.length ?? 0;
  return value.toFixed(Math.min(20, Math.max(least, own)));
}

/** As many decimals as it takes to see on which side of `bound` it lies: 0.6999 is not 0.70. */
function beside(value: number, bound: number, least: number): string {
  for (let digits = least; digits <= 20; digits++) {
    const text = value.toFixed(digits);
    if (Math.sign(Number(text) - bound) === Math.sign(value - bound)) return text;
  }
  return String(value);
}
