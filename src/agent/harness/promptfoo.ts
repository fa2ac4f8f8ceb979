import { at, dateAt, numberAt, parseJson } from './bounded-json.ts';
import { type Adapter, found, none } from './outcome.ts';

/** `failureReason` of a result that the provider or an assertion could not give. */
const ERROR = 2;

/**
 * promptfoo: `-o FILE.json`. The mean score of all results; those in error count as not done. (Its own
 * `prompts[].metrics.score` is a sum.)
 */
export const promptfoo: Adapter = (bytes) => {
  const json = parseJson(bytes);
  if (!json.ok) return json;
  const results = at(json.value, 'results', 'results');
  if (!Array.isArray(results)) return none('no_such_value', 'no results');
  if (results.length === 0) return none('nothing_scored', 'no results');
  const observedAt = dateAt(json.value, 'results', 'timestamp');
  if (Number.isNaN(observedAt)) return none('no_date', 'no timestamp');
  const scores: number[] = [];
  for (const one of results) {
    if (at(one, 'failureReason') === ERROR) continue;
    const score = numberAt(one, 'score');
    if (!Number.isFinite(score)) return none('not_a_number', 'the score of a result');
    scores.push(score);
  }
  const samples = scores.length;
  if (samples === 0) return none('nothing_scored', 'all results are errors');
  const mean = scores.reduce((sum, one) => sum + one, 0) / samples;
  const variance = scores.reduce((sum, one) => sum + (one - mean) ** 2, 0) / samples;
  const stderr = Math.sqrt(variance / samples);
  return found({ score: mean, samples, stderr, observedAt, complete: samples / results.length });
};
