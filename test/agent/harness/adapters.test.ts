import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { HARNESSES } from '../../../src/agent/harness/adapters.ts';
import type { HarnessReason, Outcome } from '../../../src/agent/harness/outcome.ts';
import { zipEntry } from '../../../src/agent/harness/zip.ts';

/** Written by the harnesses themselves, with a stand-in model each. */
const file = (name: string) => readFileSync(join(import.meta.dirname, 'files', name));
const textOf = (name: string) => file(name).toString();
type Path = readonly (string | number)[];

/** A value with others at some paths; undefined: without them. */
function edited(value: unknown, edits: readonly (readonly [Path, unknown])[]): string {
  for (const [path, next] of edits) {
    let here = value as Record<string | number, unknown>;
    for (const name of path.slice(0, -1)) here = here[name] as typeof here;
    here[path.at(-1)!] = next;
  }
  return JSON.stringify(value);
}

/** A file as the harness would have written it had something been different. */
const changed = (name: string, ...edits: (readonly [Path, unknown])[]) =>
  edited(JSON.parse(textOf(name)), edits);

function read(kind: string, content: string | Uint8Array, selector: string | null = null): Outcome {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  return HARNESSES[kind]!.adapter(bytes, selector, Date.UTC(2026, 0, 31));
}

const inspectWith = (...edits: (readonly [Path, unknown])[]) => {
  const entry = zipEntry(file('inspect.eval'), 'header.json', 1 << 26);
  if (!entry.ok || entry.bytes === undefined) throw new Error('no header');
  return edited(JSON.parse(Buffer.from(entry.bytes).toString()), edits);
};

/** The first scorer of the log. */
const FIRST = ['results', 'scores', 0] as const;
/** Results of promptfoo that could not be had. */
const inError = (which: readonly number[]) =>
  which.map((one) => [['results', 'results', one, 'failureReason'], 2] as const);

/** A zip archive of one file. */
function zip(name: string, method: number, packed: Uint8Array, claimed = packed.length): Buffer {
  const nameBytes = Buffer.from(name);
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(nameBytes.length, 26);
  const central = Buffer.alloc(46);
  central.writeUInt32LE(0x02014b50, 0);
  central.writeUInt16LE(method, 10);
  central.writeUInt32LE(claimed, 20);
  central.writeUInt16LE(nameBytes.length, 28);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(30 + nameBytes.length + packed.length, 16);
  return Buffer.concat([local, nameBytes, packed, central, nameBytes, end]);
}

test.each([
  ['inspect', file('inspect.eval'), 'match/accuracy', 0.7, 20, '2026-11-27T14:31:41Z'],
  ['inspect', inspectWith(), 'includes/accuracy', 0.7, 20, '2026-11-27T14:31:41Z'],
  ['lm-eval', textOf('lm-eval.json'), 'mc_local/acc', 0.64, 50, '2026-11-27T14:31:47.919Z'],
  ['lm-eval', textOf('lm-eval.json'), 'mc_local/acc_norm,none', 0.64, 50, null],
  ['garak', textOf('garak.report.jsonl'), null, 1248 / 1532, 1532, null],
  ['garak', textOf('garak.report.jsonl'), 'encoding.', 1, 1024, null],
  [
    'promptfoo',
    textOf('promptfoo.json'),
    null,
    4.166666666666667 / 6,
    6,
    '2026-11-27T14:31:00.044Z',
  ],
])(
  '%s: what it wrote is read as it counts (%#)',
  (kind, content, selector, score, samples, when) => {
    const outcome = read(kind, content, selector);
    expect(outcome).toMatchObject({ ok: true, result: { samples, complete: 1 } });
    if (!outcome.ok) return;
    expect(outcome.result.score).toBeCloseTo(score, 12);
    if (when !== null) expect(outcome.result.observedAt).toBe(Date.parse(when));
  },
);

const instant = (value: unknown, resultType = 'vector') =>
  JSON.stringify({ status: 'success', data: { resultType, result: value } });

const TRAPS: [string, string, string | Uint8Array, string | null, HarnessReason][] = [
  ['inspect', 'several scorers, none named', file('inspect.eval'), null, 'several'],
  [
    'inspect',
    'a scorer that is not there',
    file('inspect.eval'),
    'other/accuracy',
    'no_such_value',
  ],
  ['inspect', 'half an archive', file('inspect.eval').subarray(0, 30_000), null, 'bad_archive'],
  [
    'inspect',
    'a run under way',
    zip('_journal/start.json', 0, Buffer.from('{}')),
    null,
    'unfinished',
  ],
  ['inspect', 'a run that goes on', '{"status": "started"}', null, 'unfinished'],
  ['inspect', 'a run that failed', '{"status": "error"}', null, 'run_failed'],
  ['inspect', 'a run that was stopped', '{"status": "cancelled"}', null, 'run_failed'],
  ['inspect', 'a log declared invalid', inspectWith([['invalidated'], true]), null, 'run_failed'],
  ['inspect', 'no results', inspectWith([['results'], undefined]), null, 'nothing_scored'],
  [
    'inspect',
    'nothing scored',
    inspectWith([[...FIRST, 'scored_samples'], 0]),
    'includes/accuracy',
    'nothing_scored',
  ],
  [
    'inspect',
    'NaN',
    inspectWith([[...FIRST, 'metrics', 'accuracy', 'value'], 'NaN']),
    'includes/accuracy',
    'not_a_number',
  ],
  ['inspect', 'no date', inspectWith([['stats'], undefined]), 'match/accuracy', 'no_date'],
  ['lm-eval', 'no task named', textOf('lm-eval.json'), null, 'several'],
  ['lm-eval', 'no such metric', textOf('lm-eval.json'), 'mc_local/f1', 'no_such_value'],
  [
    'lm-eval',
    'a metric that is N/A',
    changed('lm-eval.json', [['results', 'mc_local', 'acc,none'], 'N/A']),
    'mc_local/acc',
    'not_a_number',
  ],
  ['lm-eval', 'no date', changed('lm-eval.json', [['date'], undefined]), 'mc_local/acc', 'no_date'],
  [
    'lm-eval',
    'no samples',
    changed('lm-eval.json', [['n-samples', 'mc_local', 'effective'], 0]),
    'mc_local/acc',
    'nothing_scored',
  ],
  ['garak', 'nothing tested, exit 0', textOf('garak-nothing.report.jsonl'), null, 'unfinished'],
  [
    'garak',
    'completed with nothing tested',
    '{"entry_type":"completion","end_time":"2026-01-01T00:00:00"}',
    null,
    'nothing_scored',
  ],
  ['garak', 'half a line', textOf('garak.report.jsonl').slice(0, 900), null, 'unfinished'],
  ['garak', 'no such probe', textOf('garak.report.jsonl'), 'other.', 'nothing_scored'],
  [
    'garak',
    'more passed than evaluated',
    '{"entry_type":"eval","passed":9,"total_evaluated":3}',
    null,
    'not_a_number',
  ],
  [
    'promptfoo',
    'nothing run',
    changed('promptfoo.json', [['results', 'results'], []]),
    null,
    'nothing_scored',
  ],
  [
    'promptfoo',
    'errors only',
    changed('promptfoo.json', ...inError([0, 1, 2, 3, 4, 5])),
    null,
    'nothing_scored',
  ],
  [
    'promptfoo',
    'no score',
    changed('promptfoo.json', [['results', 'results', 2, 'score'], undefined]),
    null,
    'not_a_number',
  ],
  [
    'promptfoo',
    'no date',
    changed('promptfoo.json', [['results', 'timestamp'], undefined]),
    null,
    'no_date',
  ],
  ['promptfoo', 'half a file', textOf('promptfoo.json').slice(0, 9000), null, 'not_json'],
  [
    'lm-eval',
    'NaN as Python writes it',
    textOf('lm-eval.json').replace('0.64,', 'NaN,'),
    'mc_local/acc',
    'not_a_number',
  ],
  [
    'lm-eval',
    'a date that cannot be',
    changed('lm-eval.json', [['date'], 1e300]),
    'mc_local/acc',
    'no_date',
  ],
  [
    'garak',
    'a date in another unit',
    '{"entry_type":"eval","passed":1,"total_evaluated":3}\n{"entry_type":"completion","end_time":"1970-01-01T00:00:01"}',
    null,
    'no_date',
  ],
  [
    'inspect',
    'more samples than there can be',
    inspectWith([[...FIRST, 'scored_samples'], 2e9]),
    'includes/accuracy',
    'not_a_number',
  ],
  ['prometheus', 'an empty vector', instant([]), null, 'nothing_scored'],
  [
    'prometheus',
    'several series',
    instant([{ value: [1e9, '1'] }, { value: [1e9, '0'] }]),
    null,
    'several',
  ],
  ['prometheus', 'NaN', instant([{ value: [1e9, 'NaN'] }]), null, 'not_a_number'],
  ['prometheus', 'infinity', instant([{ value: [1e9, '+Inf'] }]), null, 'not_a_number'],
  ['prometheus', 'no text', instant([{ value: [1e9, ''] }]), null, 'not_a_number'],
  ['prometheus', 'a refusal', '{"status":"error","error":"parse error"}', null, 'run_failed'],
  ['prometheus', 'a range', instant([], 'matrix'), null, 'no_such_value'],
  ['json', 'nothing there', '{"a": 1}', '/b', 'no_such_value'],
  ['json', 'nothing of its own there', '{}', '/constructor', 'no_such_value'],
  ['json', 'text', '{"a": "0.9"}', '/a', 'not_a_number'],
  [
    'json',
    'an object with a wrong field',
    '{"a": {"score": 0.9, "samples": 0}}',
    '/a',
    'not_a_number',
  ],
];

test.each(TRAPS)(
  '%s: %s is no score, for a reason that is named',
  (kind, _, content, selector, reason) => {
    expect(read(kind, content, selector)).toMatchObject({ ok: false, reason });
  },
);

test('NaN and Infinity elsewhere in a file, as Python writes them, are no reason to refuse it', () => {
  const text = textOf('lm-eval.json').replace(
    '"acc_stderr,none":',
    '"a": NaN, "b": [-Infinity, "NaN\\" NaN"], "acc_stderr,none": Infinity, "c":',
  );
  expect(text).toContain('-Infinity');
  expect(read('lm-eval', text, 'mc_local/acc')).toMatchObject({
    ok: true,
    result: { score: 0.64, stderr: null },
  });
});

/** Reasons that no adapter has, and who has them: score-from.test.ts, and above. */
const ELSEWHERE: HarnessReason[] = [
  'not_found',
  'too_large',
  'too_deep',
  'incomplete',
  'out_of_range',
  'lower_is_better',
];
const ALL: Record<HarnessReason, true> = {
  not_found: true,
  too_large: true,
  too_deep: true,
  not_json: true,
  bad_archive: true,
  unfinished: true,
  run_failed: true,
  nothing_scored: true,
  incomplete: true,
  no_such_value: true,
  several: true,
  not_a_number: true,
  out_of_range: true,
  lower_is_better: true,
  no_date: true,
};

test('every reason that there is is met', () => {
  const met = new Set([...TRAPS.map((trap) => trap[4]), ...ELSEWHERE]);
  expect(Object.keys(ALL).filter((reason) => !met.has(reason as HarnessReason))).toEqual([]);
});

describe('what counts as done', () => {
  test('inspect: samples in error are not scored, though the run succeeded', () => {
    const log = inspectWith([[...FIRST, 'scored_samples'], 4]);
    expect(read('inspect', log, 'includes/accuracy')).toMatchObject({
      result: { samples: 4, complete: 0.2 },
    });
  });

  test('promptfoo: results in error are apart from failures', () => {
    const half = changed('promptfoo.json', ...inError([0, 1, 3]));
    const outcome = read('promptfoo', half);
    expect(outcome).toMatchObject({ result: { samples: 3, complete: 0.5 } });
  });

  test('garak: its confidence bounds, 0.0 beside failures, count for nothing', () => {
    const report = textOf('garak.report.jsonl');
    const other = report.replaceAll(/"(confidence_(?:lower|upper))": ?[\d.]+/g, '"$1": 0.5');
    expect(other).not.toBe(report);
    expect(read('garak', other)).toEqual(read('garak', report));
  });

  test('promptfoo: the sum in its metrics counts for nothing', () => {
    const metrics = ['results', 'prompts', 0, 'metrics', 'score'] as const;
    expect(read('promptfoo', changed('promptfoo.json', [metrics, 99]))).toEqual(
      read('promptfoo', textOf('promptfoo.json')),
    );
  });

  test('lm-eval: a limited run is a part of its task; less may be better', () => {
    const limited = changed(
      'lm-eval.json',
      [['n-samples', 'mc_local', 'effective'], 5],
      [['higher_is_better', 'mc_local', 'acc'], false],
    );
    expect(read('lm-eval', limited, 'mc_local/acc')).toMatchObject({
      result: { samples: 5, complete: 0.1, lowerIsBetter: true },
    });
  });

  test('prometheus: numbers are text, and a vector of one or a scalar is a value', () => {
    const result = { score: 0.75, samples: 1, observedAt: 1_795_789_901_032 };
    expect(read('prometheus', instant([{ value: [1795789901.032, '0.75'] }]))).toMatchObject({
      result,
    });
    expect(read('prometheus', instant([1795789901.032, '0.75'], 'scalar'))).toMatchObject({
      result,
    });
  });

  test('json: a number is of when the file was written, an object tells by itself', () => {
    expect(read('json', '{"a/b": [0.5]}', '/a~1b/0')).toMatchObject({
      result: { score: 0.5, samples: 1, observedAt: Date.UTC(2026, 0, 31) },
    });
    const own = '{"score": 0.5, "samples": 7, "observed_at": "2026-01-01T00:00:00Z"}';
    expect(read('json', own)).toMatchObject({
      result: { score: 0.5, samples: 7, observedAt: Date.UTC(2026, 0, 1) },
    });
  });
});

describe('hostile content', () => {
  test('an archive that unpacks to more than a log can be is not unpacked', () => {
    const zeros = Buffer.alloc(80 << 20);
    for (const [method, packed] of [
      [8, deflateRawSync(zeros)],
      [93, zstdCompressSync(zeros)],
    ] as const) {
      expect(read('inspect', zip('header.json', method, packed))).toMatchObject({
        reason: 'too_large',
      });
    }
  });

  test('an archive that lies about itself is a bad one', () => {
    const entry = Buffer.from('{}');
    expect(read('inspect', zip('header.json', 0, entry, 1e9))).toMatchObject({
      reason: 'bad_archive',
    });
    expect(read('inspect', zip('header.json', 12, entry))).toMatchObject({ reason: 'bad_archive' });
    expect(read('inspect', zip('header.json', 8, entry))).toMatchObject({ reason: 'bad_archive' });
  });

  test.each(Object.keys(HARNESSES))('%s: a million brackets are not parsed', (kind) => {
    expect(read(kind, '['.repeat(1_000_000), '/a')).toMatchObject({ reason: 'too_deep' });
    expect(read(kind, '{"a":'.repeat(1_000_000), '/a')).toMatchObject({ reason: 'too_deep' });
  });
});
