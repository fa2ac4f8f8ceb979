import { everySuite, type Policy, type Score } from '../policy.ts';
import { byReceipt } from './order.ts';
import { lowerMedian } from './reading.ts';

/** How far an evaluator's fresh words are from the median of all evaluators about the same node. */
export interface Agreement {
  /** `keyid`. */
  readonly evaluator: string;
  /** Fresh words that are compared: others have spoken about the same node and suite. */
  readonly compared: number;
  /** Mean of its score less the median: above 0 it is milder than the others; null: nothing compared. */
  readonly bias: number | null;
  /** Mean distance from the median. */
  readonly distance: number | null;
  /** Seconds since its last word on anybody; null: it has none. */
  readonly lastS: number | null;
}

/**
 * Compares every evaluator with the median, so that a judge that drifts is seen before it decides
 * anything. `scores`: by node, the newest of each signer in each suite at least.
 */
export function agreementOf(
  policy: Policy,
  scores: ReadonlyMap<string, readonly Score[]>,
  evaluators: readonly string[],
  now: number,
): Agreement[] {
  const differences = new Map(evaluators.map((one) => [one, [] as number[]]));
  const last = new Map<string, number>();
  const ages = new Map(
    everySuite(policy)
      .filter((rule) => rule.signers === 'evaluators')
      .map((rule) => [rule.suite, rule.maxAgeS * 1000]),
  );
  for (const ofNode of scores.values()) {
    for (const [suite, maxAge] of ages) {
      const words = newestWords(ofNode, suite, differences);
      for (const [signer, { receivedAt }] of words) {
        last.set(signer, Math.max(last.get(signer) ?? 0, receivedAt));
      }
      const fresh = [...words].filter(([, one]) => now - one.receivedAt <= maxAge);
      if (fresh.length < 2) continue;
      const median = lowerMedian(fresh.map(([, one]) => one.score));
      for (const [signer, one] of fresh) differences.get(signer)!.push(one.score - median);
    }
  }
  return evaluators.map((evaluator) => {
    const own = differences.get(evaluator)!;
    const heard = last.get(evaluator);
    return {
      evaluator,
      compared: own.length,
      bias: mean(own),
      distance: mean(own.map(Math.abs)),
      lastS: heard === undefined ? null : Math.max(0, now - heard) / 1000,
    };
  });
}

function newestWords(
  scores: readonly Score[],
  suite: string,
  signers: ReadonlyMap<string, unknown>,
): Map<string, Score> {
  const newest = new Map<string, Score>();
  for (const one of scores) {
    if (one.suite !== suite || !signers.has(one.signer)) continue;
    const other = newest.get(one.signer);
    if (other === undefined || byReceipt(one, other) >= 0) newest.set(one.signer, one);
  }
  return newest;
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, one) => sum + one, 0) / values.length;
}
