import { PLAIN_RULE } from '../policy.ts';
import type { GivenPolicy } from './complete.ts';
import { DEFAULT_BRAKE } from './document.ts';

/**
 * The policy of a controller that is given none. What a node lacks of 0.70 in the mean of each epoch is
 * summed, and 0.15 cut: a good node is practically never cut by chance, one of quality 0.50 within an
 * epoch more than by the plain rule, and a good report just before the boundary weighs as long as it
 * stood. docs/GOVERNANCE.md has the figures, and the command that gives them.
 */
export const DEFAULT_POLICY: GivenPolicy = {
  suites: [{ suite: PLAIN_RULE.suite, score: 'mean', cut: { kind: 'cusum', h: 0.15 }, back: 3 }],
  brake: DEFAULT_BRAKE,
};
