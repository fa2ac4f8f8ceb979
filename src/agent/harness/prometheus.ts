import { at, parseJson } from './bounded-json.ts';
import { type Adapter, found, none } from './outcome.ts';

/** Prometheus: an answer of `/api/v1/query` with exactly one series. One value is one sample. */
export const prometheus: Adapter = (bytes) => {
  const json = parseJson(bytes);
  if (!json.ok) return json;
  if (at(json.value, 'status') !== 'success') return none('run_failed', 'the query failed');
  const type = at(json.value, 'data', 'resultType');
  const result = at(json.value, 'data', 'result');
  if (!Array.isArray(result)) return none('no_such_value', 'no result');
  if (type === 'vector' && result.length === 0) return none('nothing_scored', 'an empty vector');
  if (type === 'vector' && result.length > 1) return none('several', 'several series');
  if (type !== 'vector' && type !== 'scalar')
    return none('no_such_value', 'neither vector nor scalar');
  const pair = type === 'scalar' ? result : at(result, 0, 'value');
  const [seconds, text] = Array.isArray(pair) ? pair : [];
  if (typeof seconds !== 'number') return none('no_date', 'no time');
  // Numbers come as text: "0.5", "NaN", "+Inf".
  const score = typeof text === 'string' && text.trim() !== '' ? Number(text) : Number.NaN;
  if (!Number.isFinite(score)) return none('not_a_number', 'the value is no number');
  const observedAt = Math.floor(seconds * 1000);
  return found({ score, samples: 1, stderr: null, observedAt, complete: 1 });
};
