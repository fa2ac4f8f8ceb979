import type { SuiteStatus } from '../../contract/epoch.ts';
import type { SuiteRule, Verdict } from '../policy.ts';
import { beside, decimals } from './decimals.ts';
import type { Judgement, SuiteFinding } from './judge.ts';
import type { Reading } from './reading.ts';
import { cutRule } from './rules/kinds.ts';
import type { Standing } from './standing.ts';

/** Sentences go into documents that have room for so many characters. */
const LONGEST = 1024;

/** A sentence that fits into documents. */
export function shortened(sentence: string): string {
  return sentence.length <= LONGEST ? sentence : `${sentence.slice(0, LONGEST - 3)}...`;
}

/** A judgement in words. `standing`: what it was made with. */
export function verdictOf({ allowed, findings }: Judgement, { cut }: Standing): Verdict {
  const failed = findings.find((one) => !one.passes);
  const told = failed ?? findings.find((one) => one.reason !== 'passed') ?? findings[0];
  const sentence = told === undefined ? 'No suite is required.' : sentenceOf(told);
  const history = cut !== null && failed !== undefined ? historyOf(cut, findings) : '';
  const suites = findings.map(statusOf);
  return {
    allowed,
    reason: told?.reason ?? 'passed',
    explanation: shortened(`${sentence}${history}`),
    score: extreme(suites, 'score', Math.min),
    ageS: extreme(suites, 'age_s', Math.max),
    suites,
  };
}

/**
 * Epochs until a node that is out may be in again at the earliest: if all that is measured from now on
 * passes, one value an epoch.
 */
export function backIn({ findings }: Judgement, standing: Standing): number {
  return Math.max(...findings.map((one) => missingPasses(one, standing)), 1);
}

function missingPasses(one: SuiteFinding, { cut }: Standing): number {
  if (one.passes) return 0;
  if (cut === null) return 1;
  return one.reason === 'on_probation' ? one.rule.back - one.amount : one.rule.back;
}

/** The rule in a line: what is compared with what, when it cuts, and the way back. */
export function ruleText(rule: SuiteRule): string {
  const { threshold, maxAgeS, cut, back, readmit, minSamples } = rule;
  const limit = decimals(threshold, 2);
  const what = rule.score === 'mean' ? 'mean of the epoch' : 'score';
  const parts = [`${what} >= ${limit} and age <= ${maxAgeS} s`];
  if (minSamples > 1) parts.push(`of at least ${minSamples} samples`);
  const line = cutRule(cut.kind).line(cut);
  if (line !== undefined) parts.push(`cut ${line}`);
  if (back > 1 || readmit !== threshold) {
    parts.push(`back after ${back} in a row of at least ${decimals(readmit, 2)}`);
  }
  if (rule.whenStale === 'hold') parts.push('held while silent');
  return parts.join('; ');
}

function sentenceOf(finding: SuiteFinding): string {
  const { rule, reading, reason } = finding;
  if (reason === 'held') return `${withoutScore(rule, reading)} ${held(finding)}`;
  if (reading.kind === 'missing' || reason === 'score_too_old') return withoutScore(rule, reading);
  const value = `${rule.suite} score ${beside(reading.score, rule.threshold, 2)}`;
  const limit = decimals(rule.threshold, 2);
  const isUnder = reading.score < rule.threshold;
  const counts = countsOf(finding);
  if (isUnder) {
    const tolerated = reason === 'tolerated' ? ', which is not enough to be cut' : '';
    return `${value} is below the threshold of ${limit}${counts}${tolerated}.`;
  }
  const age = beside(reading.age, rule.maxAgeS, 0);
  return `${value} is at least ${limit} and ${age} s old (at most ${rule.maxAgeS} s)${counts}.`;
}

/** What the rule counted, where it looks at more than the last score. */
function countsOf({ rule, reading, values, amount, reason }: SuiteFinding): string {
  if (reason === 'on_probation' || reading.kind === 'missing') return '';
  const { cut, threshold } = rule;
  const asked = { values, samples: reading.samples, threshold };
  return cutRule(cut.kind).counted(asked, amount, cut);
}

function historyOf(
  { epoch, why }: NonNullable<Standing['cut']>,
  findings: readonly SuiteFinding[],
): string {
  const hard = findings.filter(({ rule }) => rule.back > 1 || rule.readmit !== rule.threshold);
  if (hard.length === 0) return '';
  const ways = hard.map(({ rule, reason, amount, passes }) => {
    const done = reason === 'on_probation' ? amount : passes ? rule.back : 0;
    return `${done} of ${rule.back} ${rule.suite} scores in a row of at least ${decimals(rule.readmit, 2)}`;
  });
  return ` Cut in epoch ${epoch}: ${why} Back after: ${ways.join('; ')}.`;
}

function held({ excuse, rule }: SuiteFinding): string {
  return excuse === undefined
    ? `It stays as it is while ${rule.suite} is not measured.`
    : `It stays as it is: ${excuse}`;
}

function withoutScore(rule: SuiteRule, reading: Reading): string {
  const { suite, minSamples, maxAgeS, threshold } = rule;
  if (reading.kind === 'value') {
    const value = beside(reading.score, threshold, 2);
    const age = beside(reading.age, maxAgeS, 0);
    return `The last ${suite} score, ${value}, is ${age} s old; at most ${maxAgeS} s is fresh.`;
  }
  const { known, counted, needed, samples } = reading;
  if (samples !== null) {
    return known === 1
      ? `The ${suite} score averages ${samples} samples; at least ${minSamples} are required.`
      : `${counted} of the ${needed} evaluators needed have one of ${suite} with at least ${minSamples} samples.`;
  }
  return known === 0
    ? `No ${suite} score yet.`
    : `No ${suite} score yet: ${known} of the ${needed} evaluators needed have reported.`;
}

function statusOf({ rule, reading, passes }: SuiteFinding): SuiteStatus {
  const { suite } = rule;
  if (reading.kind === 'missing') {
    return { suite, score: null, age_s: null, samples: reading.samples, passed: passes };
  }
  const { score, age, samples } = reading;
  return { suite, score, age_s: age, samples, passed: passes };
}

function extreme(
  suites: readonly SuiteStatus[],
  field: 'score' | 'age_s',
  pick: (...values: number[]) => number,
): number | null {
  const values = suites.map((one) => one[field]);
  return values.length > 0 && values.every((one) => one !== null) ? pick(...values) : null;
}
