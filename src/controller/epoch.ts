import type { Envelope } from '../contract/envelope.ts';
import type { MemberEntry } from '../contract/epoch/member-entry.ts';
import { compareNodeIds } from '../contract/ids.ts';
import { shortened } from './policy/explain.ts';
import type { Judgement } from './policy/judge.ts';
import { KNOWN_MEMBER, NEWCOMER, type Standing, standingAfter } from './policy/standing.ts';
import type { Score, Verdict } from './policy.ts';

/** Orders everything the controller says: epochs never go back, versions grow with every commit. */
export interface EpochVersion {
  readonly epoch: number;
  readonly version: number;
}

/** What an epoch says about one node. */
export interface Decision {
  readonly nodeId: string;
  /** In force: with observe-only also true for nodes that the policy would deny. */
  readonly allowed: boolean;
  readonly reason: string;
  readonly explanation: string;
  /** Epoch since which it has been a member without a break; null while denied. */
  readonly sinceEpoch: number | null;
  /** What the next epoch's judgement goes on from; undefined if this one was not judged. */
  readonly standing?: Standing;
}

/** A decided epoch, as it is stored. */
export interface Epoch extends EpochVersion {
  /** Controller's clock, ms. */
  readonly startedAt: number;
  /** On every node that was enrolled then, ids in byte order. */
  readonly decisions: readonly Decision[];
  /** Members of the epoch before that are not members of this one, ids in byte order. */
  readonly removed: readonly string[];
  /** 32 bytes; undefined in an epoch that was announced as restored: nothing of it is served. */
  readonly secret: Uint8Array | undefined;
  /** Undefined in an epoch that was announced as restored, and in one of the version before. */
  readonly header?: EpochHeader | undefined;
}

/** What an epoch is to the mesh: committed with it, and never made again. */
export interface EpochHeader {
  /** The signed header. */
  readonly envelope: Envelope;
  /** The membership that it names, as the members are told of it, ids in byte order. */
  readonly members: readonly MemberEntry[];
}

export interface EpochInput {
  /** The epoch in force; undefined before the first. */
  readonly previous: Epoch | undefined;
  readonly verdicts: ReadonlyMap<string, NodeVerdict>;
  readonly observeOnly: boolean;
  readonly startedAt: number;
  readonly secret: Uint8Array;
}

export interface NodeVerdict {
  readonly verdict: Verdict;
  /**
   * The controller was away and still waits for this member's report: what it would be allowed if
   * its last scores were fresh. Undefined: nobody waits for it.
   */
  readonly allowedIfFresh?: boolean;
  /** The brake keeps this member in: since when (see `Standing`), and why. */
  readonly held?: { readonly since: number | null; readonly why: string };
  /** What the verdict was made of, for the standing after it. */
  readonly judged?: { readonly standing: Standing; readonly judgement: Judgement };
  /** The scores that the verdict was made of. */
  readonly scores?: readonly Score[];
}

/** The epoch after `previous`: pure, everything it depends on is an argument. */
export function nextEpoch(input: EpochInput): Epoch {
  const { previous, verdicts, observeOnly, startedAt, secret } = input;
  const epoch = (previous?.epoch ?? 0) + 1;
  // Nodes may have seen later epochs than a restored one: then no membership is unbroken.
  const isContinuous = previous?.secret !== undefined;
  const before = new Map(previous?.decisions.map((one) => [one.nodeId, one.sinceEpoch]));
  const decisions = [...verdicts]
    .map(([nodeId, judged]): Decision => {
      const since = before.get(nodeId) ?? null;
      const decided = decide(judged, since !== null, observeOnly);
      const sinceEpoch = decided.allowed ? ((isContinuous ? since : null) ?? epoch) : null;
      return { nodeId, ...decided, sinceEpoch, ...standingOf(judged, decided, epoch) };
    })
    .sort((a, b) => compareNodeIds(a.nodeId, b.nodeId));
  const members = new Set(decisions.filter((one) => one.allowed).map((one) => one.nodeId));
  return {
    epoch,
    version: (previous?.version ?? 0) + 1,
    startedAt,
    decisions,
    removed: [...before]
      .filter(([nodeId, since]) => since !== null && !members.has(nodeId))
      .map(([nodeId]) => nodeId)
      .sort(compareNodeIds),
    secret,
  };
}

function decide(
  { verdict, allowedIfFresh, held }: NodeVerdict,
  wasMember: boolean,
  observeOnly: boolean,
): Pick<Decision, 'allowed' | 'reason' | 'explanation'> {
  const { allowed, reason, explanation } = verdict;
  if (allowed) return { allowed, reason, explanation };
  // Silence while the controller was away is nobody's fault; a bad score still is.
  if (wasMember && allowedIfFresh === true) {
    const why = `Stays because the controller was away and waits for a new report. ${explanation}`;
    return { allowed: true, reason: 'awaiting_report', explanation: why };
  }
  if (wasMember && held !== undefined) {
    const why = shortened(`${held.why} ${explanation}`);
    return { allowed: true, reason: 'held_by_brake', explanation: why };
  }
  if (observeOnly) {
    const why = `Stays because nobody is cut while observing only. ${explanation}`;
    return { allowed: true, reason: `observed_${reason}`, explanation: why };
  }
  return { allowed, reason, explanation };
}

/** Who stays only because nobody is cut while observing is out as far as judgement goes. */
function standingOf(
  one: NodeVerdict,
  { allowed, reason }: Pick<Decision, 'allowed' | 'reason'>,
  epoch: number,
): Pick<Decision, 'standing'> {
  const standing = nextStanding(one, allowed && !reason.startsWith('observed_'), epoch);
  return standing === undefined ? {} : { standing };
}

/** What judgement goes on from after a verdict; undefined where it was not asked. */
export function nextStanding(
  { judged, verdict, held }: NodeVerdict,
  isMember: boolean,
  epoch: number,
): Standing | undefined {
  if (judged === undefined) return undefined;
  const { standing, judgement } = judged;
  const isForScores = judgement.findings.some((one) => one.reason === 'score_below_threshold');
  const cut = isForScores && !isMember ? { epoch, why: verdict.explanation } : null;
  const heldSince = isMember ? (held?.since ?? null) : null;
  return standingAfter(standing, judgement.tracks, isMember, cut, heldSince);
}

/** Standings by node, as the epoch left them. */
export function standingsOf(epoch: Epoch | undefined): Map<string, Standing> {
  return new Map(
    epoch?.decisions.map((one) => [
      one.nodeId,
      one.standing ?? (one.sinceEpoch === null ? NEWCOMER : KNOWN_MEMBER),
    ]),
  );
}

/** Members by id, each with the epoch since which it has been one, ids in byte order. */
export function membersOf(epoch: Epoch | undefined): Map<string, number> {
  const members = new Map<string, number>();
  for (const { nodeId, sinceEpoch } of epoch?.decisions ?? []) {
    if (sinceEpoch !== null) members.set(nodeId, sinceEpoch);
  }
  return members;
}

/** What is said of a node that no epoch has judged yet. */
export function undecided(nodeId: string): Decision {
  const explanation = 'Enrolled; the next epoch decides. No score yet.';
  return { nodeId, allowed: false, reason: 'not_yet_decided', explanation, sinceEpoch: null };
}

/**
 * The first boundary after `now`. Boundaries are whole multiples of the period from `anchor` on,
 * so a late timer or a slow commit never shifts the ones after it.
 */
export function nextBoundary(anchor: number, periodMs: number, now: number): number {
  return anchor + (Math.floor((now - anchor) / periodMs) + 1) * periodMs;
}
