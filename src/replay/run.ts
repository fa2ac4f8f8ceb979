import { type NodeVerdict, nextStanding } from '../controller/epoch.ts';
import { decideMesh } from '../controller/policy/decide-mesh.ts';
import type { Judgement } from '../controller/policy/judge.ts';
import { NEWCOMER, type Standing } from '../controller/policy/standing.ts';
import {
  everySuite,
  type Policy,
  type Score,
  type SignersOf,
  type Verdict,
} from '../controller/policy.ts';
import { type ScoreSource, signersOf } from './scores.ts';

/** A policy under which scores are judged, and what became of the mesh. */
export interface Trial {
  readonly policy: Policy;
  readonly epochMs: number;
  /** Called after each epoch with who is a member, by node in the order of the source. */
  readonly onEpoch: (epoch: number, outcome: EpochOutcome) => void;
}

export interface EpochOutcome {
  /** When the epoch began, ms: at the end of the one whose scores were judged. */
  readonly at: number;
  readonly isMember: readonly boolean[];
  readonly isHeld: boolean;
  /** Nobody was cut because too many would have been. */
  readonly isFrozen: boolean;
}

/**
 * Judges the scores of a source epoch by epoch under several policies side by side, by the functions
 * that the controller calls. `progress`: after each epoch, its number from 1.
 */
export function run(
  source: ScoreSource,
  trials: readonly Trial[],
  progress: (epoch: number) => void,
): void {
  const meshes = trials.map((trial) => new TrialMesh(source, trial));
  for (let epoch = 0; epoch < source.epochs; epoch++) {
    const scores = source.take(epoch);
    for (const mesh of meshes) mesh.judge(epoch, scores);
    progress(epoch + 1);
  }
}

class TrialMesh {
  private readonly source: ScoreSource;
  private readonly trial: Trial;
  private readonly needsAll: boolean;
  private readonly signersOf: (nodeId: string) => SignersOf;
  private readonly standings = new Map<string, Standing>();
  /** What judgement looks at: the newest of each signer, and what was received in two epochs; oldest first. */
  private readonly kept = new Map<string, Score[]>();

  constructor(source: ScoreSource, trial: Trial) {
    this.source = source;
    this.trial = trial;
    this.needsAll = everySuite(trial.policy).some((rule) => rule.score === 'mean');
    const signers = new Map(source.nodeIds.map((id) => [id, signersOf(source.evaluators, id)]));
    this.signersOf = (nodeId) => signers.get(nodeId)!;
  }

  judge(epoch: number, received: readonly (readonly Score[])[]): void {
    const { source, trial, standings } = this;
    const { epochMs, policy } = trial;
    const now = source.startsAt + (epoch + 1) * epochMs;
    source.nodeIds.forEach((id, index) => {
      this.keep(id, received[index]!, now - 2 * epochMs);
    });
    const state = {
      nodeIds: source.nodeIds,
      scores: this.kept,
      evaluators: source.evaluators,
      signersOf: this.signersOf,
      standings,
      isAwaited: () => false,
      isReachable: () => true,
      observeOnly: false,
      describe: withoutWords,
    };
    const { verdicts, braked } = decideMesh(policy, state, { now, epochMs });
    const isMember = source.nodeIds.map((id) => this.settle(id, verdicts.get(id)!, epoch));
    const isFrozen = braked?.phase === 'frozen';
    const isHeld = braked !== undefined && braked.held.length > 0;
    trial.onEpoch(epoch, { at: now, isMember, isHeld, isFrozen });
  }

  private settle(id: string, one: NodeVerdict, epoch: number): boolean {
    const isMember = one.verdict.allowed || one.held !== undefined;
    this.standings.set(id, nextStanding(one, isMember, epoch) ?? NEWCOMER);
    return isMember;
  }

  private keep(id: string, received: readonly Score[], since: number): void {
    if (received.length === 0) return;
    const before = this.kept.get(id) ?? [];
    if (!this.needsAll) {
      this.kept.set(id, newestOfEach([...before, ...received]));
      return;
    }
    let old = 0;
    while (old < before.length && before[old]!.receivedAt < since) old++;
    const recent = before.slice(old).concat(received);
    const held = before.slice(0, old).filter((one) => !isAmong(recent, one));
    this.kept.set(id, held.length === 0 ? recent : held.concat(recent));
  }
}

/** The last of each signer in each suite, of scores oldest first. */
function newestOfEach(scores: readonly Score[]): Score[] {
  const newest: Score[] = [];
  for (let i = scores.length - 1; i >= 0; i--) {
    if (!isAmong(newest, scores[i]!)) newest.push(scores[i]!);
  }
  return newest;
}

function isAmong(scores: readonly Score[], { signer, suite }: Score): boolean {
  return scores.some((one) => one.signer === signer && one.suite === suite);
}

/** Nobody reads sentences here, and millions of them take their time. */
function withoutWords({ allowed, findings }: Judgement): Verdict {
  const reason = findings.find((one) => !one.passes)?.reason ?? 'passed';
  return { allowed, reason, explanation: '', score: null, ageS: null, suites: [] };
}
