/**
 * Mean of scores over `[from, to]`, ms, each holding from its receipt until the next one: what
 * counts is for how long a score stood, so that a good one just before the end of an epoch weighs
 * what it deserves. The last score before `from` holds on into the time after it. If none of them has
 * stood for any time, their plain mean. Scores in any order, at least one.
 */
export function timeWeightedMean(
  scores: readonly { readonly score: number; readonly receivedAt: number }[],
  from: number,
  to: number,
): number {
  const sorted = isSorted(scores) ? scores : scores.toSorted((a, b) => a.receivedAt - b.receivedAt);
  let weighted = 0;
  let total = 0;
  let plain = 0;
  for (let i = 0; i < sorted.length; i++) {
    const { score, receivedAt } = sorted[i]!;
    const until = Math.min(to, sorted[i + 1]?.receivedAt ?? to);
    const weight = Math.max(0, until - Math.max(from, receivedAt));
    weighted += weight * score;
    total += weight;
    plain += score;
  }
  return total > 0 ? weighted / total : plain / sorted.length;
}

function isSorted(scores: readonly { readonly receivedAt: number }[]): boolean {
  for (let i = 1; i < scores.length; i++) {
    if (scores[i]!.receivedAt < scores[i - 1]!.receivedAt) return false;
  }
  return true;
}
