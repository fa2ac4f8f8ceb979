import type { ScoreView } from '../agent/status.ts';
import { duration } from './table.ts';

/** How a node's own measurements stand, a line a suite. `freshnessS`: how old a score may be. */
export function scoreLines(scores: readonly ScoreView[] = [], freshnessS?: number): string[] {
  return scores.map(({ suite, running_s, score, age_s, failure }) => {
    const limit = freshnessS === undefined ? '' : ` of ${duration(freshnessS)}`;
    const parts = [
      ...(running_s === null ? [] : [`running for ${duration(running_s)}`]),
      ...(score === null
        ? ['no score yet']
        : [`last ${score.toFixed(3)}`, `${duration(age_s)} old${limit}`]),
      ...(failure === null ? [] : [failure]),
    ];
    return `${suite}: ${parts.join(', ')}`;
  });
}
