import type { ScoreView } from '../agent/status.ts';
import type { NodeStatus } from '../contract/epoch.ts';
import { duration } from './table.ts';

/** How a node's own measurements stand, a line a suite. `judged`: what the controller says of it. */
export function scoreLines(
  scores: readonly ScoreView[] = [],
  judged?: Pick<NodeStatus, 'suites'>,
): string[] {
  return scores.map(({ suite, running_s, score, age_s, failure }) => {
    const oldest = judged?.suites.find((one) => one.suite === suite)?.max_age_s;
    const limit = oldest === undefined ? '' : ` of ${duration(oldest)}`;
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
