import type { Score } from '../policy.ts';

export type Timed = Pick<Score, 'score' | 'observedAt' | 'receivedAt'>;

/**
 * Order of a signer's scores in a suite: by receipt, then by observation; of two at the same time the
 * lower is the later one. So what they say does not depend on how they were kept.
 */
export function byReceipt(a: Timed, b: Timed): number {
  return a.receivedAt - b.receivedAt || a.observedAt - b.observedAt || b.score - a.score;
}
