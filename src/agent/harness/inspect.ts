import { at, dateAt, numberAt, parseJson } from './bounded-json.ts';
import { type Adapter, found, none, type Outcome } from './outcome.ts';
import { zipEntry } from './zip.ts';

/** A log's header without its samples. */
const MAX_HEADER = 64 << 20;

/**
 * inspect_ai: a log as `.json`, or as `.eval`, a zip whose `header.json` says the same.
 * Selector: `scorer/metric` or `metric`; default `accuracy` of the only scorer.
 */
export const inspect: Adapter = (bytes, selector) => {
  const isZip = bytes[0] === 0x50 && bytes[1] === 0x4b;
  if (!isZip) return readLog(bytes, selector);
  const header = zipEntry(bytes, 'header.json', MAX_HEADER);
  if (!header.ok) return none(header.why, 'the archive cannot be read');
  if (header.bytes === undefined) return none('unfinished', 'the log has no header yet');
  return readLog(header.bytes, selector);
};

function readLog(bytes: Uint8Array, selector: string | null): Outcome {
  const json = parseJson(bytes);
  if (!json.ok) return json;
  const log = json.value;
  const status = at(log, 'status');
  if (status === 'started') return none('unfinished', 'the run goes on');
  if (status !== 'success') return none('run_failed', 'the status of the run is not success');
  if (at(log, 'invalidated') === true) return none('run_failed', 'the log was declared invalid');
  const scores = at(log, 'results', 'scores');
  if (!Array.isArray(scores) || scores.length === 0) return none('nothing_scored', 'no scores');
  const [metric = 'accuracy', scorer] = (selector ?? 'accuracy').split('/').reverse();
  const fitting = scores.filter((one) => scorer === undefined || at(one, 'name') === scorer);
  if (fitting.length > 1) return none('several', 'several scorers: name one, #scorer/metric');
  const [score] = fitting;
  const value = at(score, 'metrics', metric, 'value');
  if (value === undefined) return none('no_such_value', 'no such scorer or metric');
  if (typeof value !== 'number') return none('not_a_number', 'the metric is no number');
  const observedAt = dateAt(log, 'stats', 'completed_at');
  if (Number.isNaN(observedAt)) return none('no_date', 'no completed_at');
  const samples = numberAt(score, 'scored_samples');
  const total = numberAt(log, 'results', 'total_samples');
  const stderr = numberAt(score, 'metrics', 'stderr', 'value');
  return found({
    score: value,
    samples,
    stderr: Number.isFinite(stderr) ? stderr : null,
    observedAt,
    complete: total > 0 ? Math.min(1, samples / total) : 0,
  });
}
