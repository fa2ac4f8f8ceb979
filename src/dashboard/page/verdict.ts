import type { EpochView, NodeView } from '../documents.ts';

/** How a node stands, for colour, mark and order. */
export type Standing = 'member' | 'close' | 'denied' | 'waiting';

/** Marks besides colours: not everybody tells those apart. */
export const MARKS: Readonly<Record<Standing, string>> = {
  member: '✓',
  close: '!',
  denied: '✕',
  waiting: '…',
};
/** Of a member that others do not reach, beside the mark of how it stands. */
export const UNREACHED = '⊘';
export const WORDS: Readonly<Record<Standing, string>> = {
  member: 'member',
  close: 'member, close to the line',
  denied: 'denied',
  waiting: 'not yet decided',
};

/** Nearer to the threshold than this is close to the line; so is the last quarter of freshness. */
const CLOSE_SCORE = 0.05;
const CLOSE_AGE = 0.75;

export function standing(node: NodeView, epoch: EpochView, now: number): Standing {
  if (node.reason === 'not_yet_decided') return 'waiting';
  if (!node.allowed) return 'denied';
  return margin(node, epoch, now) < 1 ? 'close' : 'member';
}

/**
 * Distance to the line: below 0 the plain rule fails, below 1 it is close. The smaller of the distances in
 * score and age, each in units of what counts as close.
 */
export function margin(node: NodeView, epoch: EpochView, now: number): number {
  const byScore =
    node.score === null ? Number.NEGATIVE_INFINITY : (node.score - epoch.threshold) / CLOSE_SCORE;
  const age = (now - (node.observedAt ?? 0)) / 1000;
  const byAge = (1 - age / epoch.freshnessS) / (1 - CLOSE_AGE);
  return Math.min(byScore, byAge);
}
