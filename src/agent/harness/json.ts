import { ScoreError } from '../score-source.ts';
import { at, parseJson } from './bounded-json.ts';
import { readMeasurement } from './measured.ts';
import { type Adapter, found, none } from './outcome.ts';

/**
 * Any JSON file. Selector: a JSON pointer (RFC 6901) to a number, which is one sample of when the file
 * was written, or to an object with `score` and possibly `samples` and `observed_at`.
 */
export const json: Adapter = (bytes, selector, modifiedAt) => {
  const parsed = parseJson(bytes);
  if (!parsed.ok) return parsed;
  const path = (selector ?? '')
    .split('/')
    .map((one) => one.replace(/~1/g, '/').replace(/~0/g, '~'));
  if (path.shift() !== '') return none('no_such_value', 'a pointer begins with /');
  const value = at(parsed.value, ...path);
  if (value === undefined) return none('no_such_value', 'nothing at the pointer');
  const dated = { samples: 1, stderr: null, observedAt: modifiedAt, complete: 1 };
  if (typeof value === 'number') return found({ ...dated, score: value });
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return none('not_a_number', 'the value is no number');
  }
  try {
    const { suite: _, ...measurement } = readMeasurement(value as Record<string, unknown>);
    return found({ ...dated, ...measurement });
  } catch (error) {
    if (error instanceof ScoreError) return none('not_a_number', error.message);
    throw error;
  }
};
