import { at, numberAt, parseJson } from './bounded-json.ts';
import { type Adapter, found, none } from './outcome.ts';

/**
 * lm-evaluation-harness: `results_*.json` of `--output_path`. Selector: `task/metric` or
 * `task/metric,filter`; the filter is `none` where it is not given.
 */
export const lmEval: Adapter = (bytes, selector) => {
  const json = parseJson(bytes);
  if (!json.ok) return json;
  const file = json.value;
  const split = selector?.lastIndexOf('/') ?? -1;
  if (selector === null || split < 1) return none('several', 'name one: #task/metric');
  const task = selector.slice(0, split);
  const [metric = '', filter = 'none'] = selector.slice(split + 1).split(',');
  const value = at(file, 'results', task, `${metric},${filter}`);
  if (value === undefined) return none('no_such_value', 'no such task or metric');
  if (typeof value !== 'number') return none('not_a_number', 'the metric is no number');
  const seconds = numberAt(file, 'date');
  if (!Number.isFinite(seconds)) return none('no_date', 'no date');
  const samples = numberAt(file, 'n-samples', task, 'effective');
  const total = numberAt(file, 'n-samples', task, 'original');
  const stderr = numberAt(file, 'results', task, `${metric}_stderr,${filter}`);
  return found({
    score: value,
    samples,
    stderr: Number.isFinite(stderr) ? stderr : null,
    observedAt: Math.floor(seconds * 1000),
    complete: total > 0 ? Math.min(1, samples / total) : 0,
    lowerIsBetter: at(file, 'higher_is_better', task, metric) === false,
  });
};
