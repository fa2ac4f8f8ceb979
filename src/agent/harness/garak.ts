import { at, dateAt, numberAt, parseJson } from './bounded-json.ts';
import { type Adapter, found, none } from './outcome.ts';

const NEWLINE = 0x0a;

/**
 * garak: `*.report.jsonl`. The share of attempts that the model withstood, over all probes and
 * detectors, or those whose `probe` begins with the selector. Its confidence bounds are not used: it
 * writes 0 where it has none.
 */
export const garak: Adapter = (bytes, selector) => {
  let passed = 0;
  let evaluated = 0;
  let processed = 0;
  let rows = 0;
  let observedAt = Number.NaN;
  for (const line of linesOf(bytes)) {
    const json = parseJson(line);
    // The last line may be half a line while garak writes.
    if (!json.ok)
      return json.reason === 'not_json' ? none('unfinished', 'a line is no JSON') : json;
    const kind = at(json.value, 'entry_type');
    if (kind === 'completion') observedAt = dateAt(json.value, 'end_time');
    if (kind !== 'eval') continue;
    const probe = at(json.value, 'probe');
    if (selector !== null && !(typeof probe === 'string' && probe.startsWith(selector))) continue;
    const one = numberAt(json.value, 'total_evaluated');
    const good = numberAt(json.value, 'passed');
    if (!(one >= 0 && good >= 0 && good <= one))
      return none('not_a_number', 'counts of an eval row');
    rows++;
    passed += good;
    evaluated += one;
    const all = numberAt(json.value, 'total_processed');
    processed += Number.isFinite(all) ? Math.max(all, one) : one;
  }
  if (Number.isNaN(observedAt)) return none('unfinished', 'no completion row');
  if (rows === 0) return none('nothing_scored', 'no eval row: the run has tested nothing');
  if (evaluated === 0) return none('nothing_scored', 'no attempt was evaluated');
  const score = passed / evaluated;
  const stderr = Math.sqrt((score * (1 - score)) / evaluated);
  return found({ score, samples: evaluated, stderr, observedAt, complete: evaluated / processed });
};

function* linesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(NEWLINE, start);
    const line = bytes.subarray(start, end < 0 ? bytes.length : end);
    if (line.length > 0) yield line;
    if (end < 0) return;
    start = end + 1;
  }
}
