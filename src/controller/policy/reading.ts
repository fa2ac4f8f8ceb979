import type { Score, SignersOf, SuiteRule } from '../policy.ts';
import { epochMean } from './epoch-mean.ts';
import { byReceipt } from './order.ts';

/** What accepted scores say at one moment about a node in a suite. */
export type Reading =
  | {
      readonly kind: 'missing';
      /** Signers that have said anything, that have said enough, and that it takes. */
      readonly known: number;
      readonly counted: number;
      readonly needed: number;
      /** Where there is too little: the median of what there is; null: there are too few signers. */
      readonly samples: number | null;
    }
  | {
      readonly kind: 'value';
      readonly score: number;
      readonly samples: number;
      /** Seconds. */
      readonly age: number;
      /** When the newest score in it was received, ms. */
      readonly heardAt: number;
    };

/**
 * Reads the scores of one suite, at `now`. The mean is over what was heard since `now - epochMs`.
 * Where several evaluators are accepted, their words are taken together by medians only, so that f
 * liars of 2f+1 decide nothing: neither by what they say of the score, the samples or the time, nor
 * by silence, nor beside an honest one that is late.
 */
export function readScores(
  rule: SuiteRule,
  scores: readonly Score[],
  signers: readonly string[],
  now: number,
  epochMs: number,
): Reading {
  const needed = majority(signers.length);
  const known = newestOfEach(rule, scores, signers);
  // A word that rests on too little is none at all: absent, it cannot speak for the others.
  const counted = known.filter((one) => one.samples >= rule.minSamples);
  if (counted.length < needed) {
    const samples = known.length >= needed ? lowerMedian(known.map((one) => one.samples)) : null;
    return { kind: 'missing', known: known.length, counted: counted.length, needed, samples };
  }
  const said = (one: Score) =>
    rule.score === 'newest' ? one.score : meanOf(rule, scores, one.signer, now, epochMs);
  return {
    kind: 'value',
    score: lowerMedian(counted.map(said)),
    samples: lowerMedian(counted.map((one) => one.samples)),
    // As old as the one that makes the majority: so many are that fresh, whatever the others say.
    age: nth(
      counted.map((one) => ageOf(one, now)),
      needed - 1,
    ),
    heardAt: counted.reduce((newest, one) => Math.max(newest, one.receivedAt), 0),
  };
}

/**
 * True if every suite has as many scores as it needs that were received at `since` or later, and
 * observed at `observedSince` or later: what was on its way through an outage is old on arrival.
 */
export function hasReportedSince(
  suites: readonly SuiteRule[],
  scores: readonly Score[],
  signersOf: SignersOf,
  since: number,
  observedSince: number,
): boolean {
  const recent = scores.filter((one) => one.receivedAt >= since && one.observedAt >= observedSince);
  return suites.every((rule) => {
    const signers = signersOf(rule);
    return newestOfEach(rule, recent, signers).length >= majority(signers.length);
  });
}

/** The last word of each signer that has one. */
function newestOfEach(
  rule: SuiteRule,
  scores: readonly Score[],
  signers: readonly string[],
): Score[] {
  const newest: Score[] = [];
  for (const signer of signers) {
    let last: Score | undefined;
    for (const one of scores) {
      if (one.signer !== signer || one.suite !== rule.suite) continue;
      if (last === undefined || byReceipt(one, last) >= 0) last = one;
    }
    if (last !== undefined) newest.push(last);
  }
  return newest;
}

function meanOf(
  rule: SuiteRule,
  scores: readonly Score[],
  signer: string,
  now: number,
  epochMs: number,
): number {
  const counts = (one: Score) =>
    one.signer === signer && one.suite === rule.suite && one.samples >= rule.minSamples;
  // Most often all do, and there are many of them.
  const words = scores.every(counts) ? scores : scores.filter(counts);
  return epochMean(words, now - epochMs, now);
}

/** Seconds, from the older of observation and receipt; what was observed just ahead is new. */
function ageOf(score: Score, now: number): number {
  return Math.max(0, now - Math.min(score.observedAt, score.receivedAt)) / 1000;
}

/** More than half of all signers. */
export function majority(signers: number): number {
  return Math.floor(signers / 2) + 1;
}

export function lowerMedian(values: readonly number[]): number {
  return nth(values, Math.floor((values.length - 1) / 2));
}

/** The one that so many are not above. */
function nth(values: readonly number[], index: number): number {
  if (values.length === 1) return values[0]!; // most often
  return values.toSorted((a, b) => a - b)[index]!;
}
