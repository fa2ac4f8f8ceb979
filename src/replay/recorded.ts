import type { Score } from '../controller/policy.ts';
import type { ScoreSource } from './scores.ts';

/** A score about a node, as it was recorded. */
export interface RecordedScore extends Score {
  readonly nodeId: string;
}

/** Recorded scores, in any order; at least one. Who signed no score of its own is an evaluator. */
export class RecordedScores implements ScoreSource {
  readonly nodeIds: readonly string[];
  readonly evaluators: readonly string[];
  readonly startsAt: number;
  readonly epochs: number;
  private readonly byEpoch = new Map<number, Score[][]>();

  constructor(scores: readonly RecordedScore[], epochMs: number) {
    const first = scores.reduce((least, one) => Math.min(least, one.receivedAt), Infinity);
    const last = scores.reduce((most, one) => Math.max(most, one.receivedAt), 0);
    this.startsAt = first;
    this.epochs = Math.floor((last - first) / epochMs) + 1;
    this.nodeIds = [...new Set(scores.map((one) => one.nodeId))].sort();
    const signers = new Set(scores.map((one) => one.signer));
    this.evaluators = [...signers].filter((one) => !this.nodeIds.includes(one)).sort();
    const indexOf = new Map(this.nodeIds.map((id, index) => [id, index]));
    for (const one of scores.toSorted((a, b) => a.receivedAt - b.receivedAt)) {
      const epoch = Math.floor((one.receivedAt - first) / epochMs);
      const received = this.byEpoch.get(epoch) ?? this.nodeIds.map((): Score[] => []);
      received[indexOf.get(one.nodeId)!]!.push(one);
      this.byEpoch.set(epoch, received);
    }
  }

  take(epoch: number): readonly (readonly Score[])[] {
    return this.byEpoch.get(epoch) ?? this.nodeIds.map(() => []);
  }
}
