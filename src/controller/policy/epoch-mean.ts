import { meantDecimal } from '../../contract/meant-decimal.ts';
import { byReceipt, type Timed } from './order.ts';

/**
 * What scores say of `[from, to]`, ms, on the whole: the lower of two means. In the one each weighs as
 * long as it stood, from its receipt until the next one, so that a good one just before the end of an
 * epoch counts for little. In the other all that were received weigh the same, so that who measures
 * again and again until a score passes does not gain by falling silent then. The last score before
 * `from` stands on into the time after it. Rounded to the decimals of a score: 0.7 all the time is 0.7,
 * whatever the weights. Scores in any order, at least one.
 */
export function epochMean(scores: readonly Timed[], from: number, to: number): number {
  const sorted = isSorted(scores) ? scores : scores.toSorted(byReceipt);
  let [weighted, time, sum, count] = [0, 0, 0, 0];
  for (let i = 0; i < sorted.length; i++) {
    const { score, receivedAt } = sorted[i]!;
    const until = Math.min(to, sorted[i + 1]?.receivedAt ?? to);
    const stood = Math.max(0, until - Math.max(from, receivedAt));
    weighted += stood * score;
    time += stood;
    if (receivedAt >= from) {
      sum += score;
      count++;
    }
  }
  const byTime = time > 0 ? weighted / time : Number.POSITIVE_INFINITY;
  const byCount = count > 0 ? sum / count : Number.POSITIVE_INFINITY;
  const least = Math.min(byTime, byCount);
  return Number.isFinite(least) ? meantDecimal(least) : sorted.at(-1)!.score;
}

function isSorted(scores: readonly Timed[]): boolean {
  for (let i = 1; i < scores.length; i++) {
    if (byReceipt(scores[i - 1]!, scores[i]!) > 0) return false;
  }
  return true;
}
