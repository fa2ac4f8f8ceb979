import { verdictOf } from '../../../../src/controller/policy/explain.ts';
import { judge } from '../../../../src/controller/policy/judge.ts';
import {
  NEWCOMER,
  type Standing,
  standingAfter,
} from '../../../../src/controller/policy/standing.ts';
import {
  PLAIN_RULE,
  type Score,
  type SuiteRule,
  type Verdict,
} from '../../../../src/controller/policy.ts';
import type { Policy } from './judge-v1.ts';

export const EPOCH_MS = 60_000;

/** The rules that a policy of version 1 means. */
export function plainRules({ suites, threshold, freshnessS }: Policy): SuiteRule[] {
  return suites.map(({ suite, minSamples, signers }) => ({
    ...PLAIN_RULE,
    suite,
    minSamples,
    signers,
    threshold,
    readmit: threshold,
    maxAgeS: freshnessS,
  }));
}

/** Judges by a policy of version 1, and says what the next epoch goes on from. */
export function judgePlain(
  policy: Policy,
  scores: readonly Score[],
  signersOf: (rule: SuiteRule) => readonly string[],
  now: number,
  standing: Standing = NEWCOMER,
): { readonly verdict: Verdict; readonly standing: Standing } {
  const moment = { now, epochMs: EPOCH_MS, excused: new Map<string, string>() };
  const judgement = judge(plainRules(policy), { scores, signersOf, standing }, moment);
  const verdict = verdictOf(judgement, standing);
  const isForScores = verdict.reason === 'score_below_threshold';
  const cut = isForScores ? { epoch: 1, why: verdict.explanation } : null;
  const after = standingAfter(standing, judgement.tracks, judgement.allowed, cut);
  return { verdict, standing: after };
}
