import type { Reason, Score, SignersOf, SuiteRule } from '../policy.ts';
import { type Reading, readScores } from './reading.ts';
import type { Finding } from './rules/finding.ts';
import { cutRule } from './rules/kinds.ts';
import { probation } from './rules/probation.ts';
import type { Standing } from './standing.ts';
import { EMPTY_TRACK, type Track, withValue } from './track.ts';

/** What is known of one node. */
export interface Evidence {
  /** The newest of each signer in each suite, and for means all of the epoch; in any order. */
  readonly scores: readonly Score[];
  readonly signersOf: SignersOf;
  readonly standing: Standing;
}

/** When it is judged. */
export interface Moment {
  /** Controller's clock, ms. */
  readonly now: number;
  readonly epochMs: number;
  /** Suites of which nobody can have a score, and why: that is no node's fault. */
  readonly excused: ReadonlyMap<string, string>;
}

export type SuiteReason = Exclude<Reason, 'exempt' | 'no_config_fetched'>;

/** What one suite says of a node, in numbers; `explain.ts` makes sentences of it. */
export interface SuiteFinding {
  readonly rule: SuiteRule;
  readonly reading: Reading;
  readonly passes: boolean;
  readonly reason: SuiteReason;
  /** The values that were looked at, oldest first; none where there is no fresh one. */
  readonly values: readonly number[];
  /** What the rule went by: failed values, a sum, a bound; for `on_probation` passes in a row. */
  readonly amount: number;
  /** Why a missing score is nobody's fault; undefined if it is not. */
  readonly excuse?: string;
}

export interface Judgement {
  readonly allowed: boolean;
  readonly findings: readonly SuiteFinding[];
  /** Of the standing, with the present values. */
  readonly tracks: Standing['tracks'];
}

/** Decides about one node: pure, everything it depends on is an argument. */
export function judge(suites: readonly SuiteRule[], evidence: Evidence, moment: Moment): Judgement {
  const tracks: Record<string, Track> = {};
  const findings = suites.map((rule) => find(rule, evidence, moment, tracks));
  return { allowed: findings.every((one) => one.passes), findings, tracks };
}

function find(
  rule: SuiteRule,
  { scores, signersOf, standing }: Evidence,
  { now, epochMs, excused }: Moment,
  tracks: Record<string, Track>,
): SuiteFinding {
  const before = standing.tracks[rule.suite] ?? EMPTY_TRACK;
  const reading = readScores(rule, scores, signersOf(rule), now, epochMs);
  if (reading.kind === 'missing' || reading.age > rule.maxAgeS) {
    const track = asked(before, now);
    tracks[rule.suite] = track;
    const excuse = excused.get(rule.suite) ?? excuseOf(rule, reading, track, now);
    return withoutValue(rule, reading, standing.isMember, excuse);
  }
  const track = withValue(before, rule, reading, now, epochMs);
  tracks[rule.suite] = track;
  const { values } = track;
  const found = (passes: boolean, reason: SuiteReason, amount: number): SuiteFinding => ({
    rule,
    reading,
    passes,
    reason,
    values,
    amount,
  });
  const isUnder = reading.score < rule.threshold;
  const { cuts, amount } = ask(rule, track, reading.samples);
  if (standing.isMember) {
    if (cuts) return found(false, 'score_below_threshold', amount);
    return found(true, isUnder ? 'tolerated' : 'passed', amount);
  }
  if (isUnder) return found(false, 'score_below_threshold', amount);
  if (standing.cut !== null) {
    const back = probation(values, rule);
    return back.cuts ? found(false, 'on_probation', back.amount) : found(true, 'passed', amount);
  }
  return found(!cuts, cuts ? 'score_below_threshold' : 'passed', amount);
}

function ask({ cut, threshold }: SuiteRule, { values, sum }: Track, samples: number): Finding {
  return cutRule(cut.kind).ask({ values, sum, samples, threshold }, cut);
}

/** From now on a score of this suite is asked for. */
function asked(track: Track, now: number): Track {
  return track.openedAt === 0 ? { ...track, openedAt: now } : track;
}

/**
 * Why a member has too few words in a suite, where that is not its doing: words are never lost, so its
 * evaluators' keys are others than they were, or the suite is new.
 */
function excuseOf(
  rule: SuiteRule,
  reading: Reading,
  { openedAt }: Track,
  now: number,
): string | undefined {
  if (reading.kind === 'value' || reading.samples !== null) return undefined;
  if (rule.signers === 'evaluators') {
    return `${reading.known} of the ${reading.needed} evaluators needed have reported on it with the keys that they have now.`;
  }
  const left = openedAt + rule.maxAgeS * 1000 - now;
  return left >= 0 ? `${rule.suite} is new, and has not been asked for long.` : undefined;
}

/** Silence cuts a member or holds it, as the rule says; where nobody can be heard, it holds. */
function withoutValue(
  rule: SuiteRule,
  reading: Reading,
  isMember: boolean,
  excuse: string | undefined,
): SuiteFinding {
  const isHeld = isMember && (excuse !== undefined || rule.whenStale === 'hold');
  return {
    rule,
    reading,
    passes: isHeld,
    reason: isHeld ? 'held' : reasonFor(reading),
    values: [],
    amount: 0,
    ...(excuse === undefined ? {} : { excuse }),
  };
}

function reasonFor(reading: Reading): SuiteReason {
  if (reading.kind === 'value') return 'score_too_old';
  return reading.samples === null ? 'no_score' : 'too_few_samples';
}
