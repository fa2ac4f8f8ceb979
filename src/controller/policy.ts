import { DEFAULT_SUITE } from '../contract/benchmark.ts';
import type { SuiteStatus } from '../contract/epoch.ts';
import type { CutParameters } from './policy/rules/kinds.ts';

export type { CutParameters } from './policy/rules/kinds.ts';

/** Who may sign scores of a suite. */
export type AcceptedSigners = 'node' | 'evaluators';

/** What one epoch's value of a suite is made of: the last score, or the mean over the epoch. */
export type ScoreKind = 'newest' | 'mean';

/** One suite that every member must pass. */
export interface SuiteRule {
  readonly suite: string;
  /** Lowest score that passes, 0..1, inclusive. */
  readonly threshold: number;
  /** Greatest age of a score that counts, seconds, inclusive. */
  readonly maxAgeS: number;
  /** Fewest items or runs that a score must average. */
  readonly minSamples: number;
  /** How often it is expected to be measured, seconds. */
  readonly reportIntervalS: number;
  readonly signers: AcceptedSigners;
  readonly score: ScoreKind;
  readonly cut: CutParameters;
  /** Lowest value that counts towards being let in again, 0..1, inclusive. */
  readonly readmit: number;
  /** So many values in a row let a node in again that was cut for its scores. */
  readonly back: number;
  /** What becomes of a member without a fresh score. */
  readonly whenStale: 'cut' | 'hold';
}

/** Nodes that are judged by suites of their own. */
export interface NodeGroup {
  readonly name: string;
  readonly nodes: readonly string[];
  readonly suites: readonly SuiteRule[];
}

/** How many members judgement may cut; see `policy/brake.ts`. Shares are of all members, 0..1. */
export interface BrakeParameters {
  /** Greatest share that one epoch cuts, but always one. */
  readonly maxCut: number;
  /** A greater share (and more than one) that would be cut at once is not believed. */
  readonly freezeAbove: number;
  /** For so many epochs; then up to `maxCut` are cut, unless an operator has spoken. */
  readonly freezeEpochs: number;
  /** Judgement never leaves fewer members than this. */
  readonly minMembers: number;
}

export interface Policy {
  /** Required suites of nodes in no group: all of them must pass. */
  readonly suites: readonly SuiteRule[];
  readonly groups: readonly NodeGroup[];
  /** Ids of nodes that are members whatever their scores. */
  readonly exempt: readonly string[];
  /** Null: nothing limits how many are cut. */
  readonly brake: BrakeParameters | null;
}

/** The cut of the plain rule: the last value alone. */
export const PLAIN_CUT: CutParameters = { kind: 'k_of_n', of: 1, failed: 1 };

/** `score >= 0.70 and age <= 120 s`, nothing else. */
export const PLAIN_RULE: SuiteRule = {
  suite: DEFAULT_SUITE,
  threshold: 0.7,
  maxAgeS: 120,
  reportIntervalS: 10,
  minSamples: 1,
  signers: 'node',
  score: 'newest',
  cut: PLAIN_CUT,
  readmit: 0.7,
  back: 1,
  whenStale: 'cut',
};

/** The plain rule for everybody, and no brake: what policy files of version 1 say. */
export const PLAIN_POLICY: Policy = { suites: [PLAIN_RULE], groups: [], exempt: [], brake: null };

/** An accepted score of one signer about a node in a suite. Times: controller's clock, ms. */
export interface Score {
  readonly suite: string;
  /** `keyid` of who signed it. */
  readonly signer: string;
  readonly score: number;
  readonly samples: number;
  readonly observedAt: number;
  readonly receivedAt: number;
  /** Base64 of its envelope's hash; undefined for one that a version before took. */
  readonly hash?: string;
}

export type Reason =
  | 'passed'
  /** Under the threshold, but not for long enough to be cut. */
  | 'tolerated'
  | 'no_score'
  | 'score_too_old'
  | 'too_few_samples'
  | 'score_below_threshold'
  /** Cut for its scores, and not yet back. */
  | 'on_probation'
  /** A member whose score is missing through no fault of its own, or whose rule waits for one. */
  | 'held'
  | 'exempt'
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

/** The suites that a node must pass. */
export function suitesOf(policy: Policy, nodeId: string): readonly SuiteRule[] {
  return policy.groups.find((group) => group.nodes.includes(nodeId))?.suites ?? policy.suites;
}

/** The suites of all groups. */
export function everySuite({ suites, groups }: Policy): readonly SuiteRule[] {
  return [...suites, ...groups.flatMap((group) => group.suites)];
}
