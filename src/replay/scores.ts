import type { Score, SignersOf } from '../controller/policy.ts';

/** Scores of a mesh, epoch by epoch: recorded, or made. */
export interface ScoreSource {
  readonly nodeIds: readonly string[];
  /** `keyid`s whose scores count where evaluators judge. */
  readonly evaluators: readonly string[];
  /** When the first epoch begins, ms. */
  readonly startsAt: number;
  readonly epochs: number;
  /**
   * What was received in epoch `epoch` (from 0), by node in the order of `nodeIds`, each oldest first.
   * Called once for each epoch, in order.
   */
  readonly take: (epoch: number) => readonly (readonly Score[])[];
  /**
   * The quality of a node at the end of the epoch that was taken last; undefined where nobody knows it,
   * as of recorded scores.
   */
  readonly qualityOf?: (index: number) => number;
  /** When the node's quality last changed for the worse, ms; with `qualityOf`. */
  readonly turnedAt?: (index: number) => number;
}

/** A node's own scores are signed with its name here; policies go by keyids alone. */
export function signersOf(evaluators: readonly string[], nodeId: string): SignersOf {
  const own = [nodeId];
  return (rule) => (rule.signers === 'node' ? own : evaluators);
}
