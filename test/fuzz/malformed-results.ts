import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HARNESSES } from '../../src/agent/harness/adapters.ts';
import { isDate, type Outcome } from '../../src/agent/harness/outcome.ts';
import { zipEntry } from '../../src/agent/harness/zip.ts';
import { seededRandom } from '../lab/random.ts';

export interface ResultFuzzReport {
  readonly files: number;
  /** How many were a score, and how many none, by reason. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** What is wrong: empty if all is well. */
  readonly faults: readonly string[];
}

/** Longer than this (ms) no small file may take. */
const MAX_MS = 2000;
const MAX_FAULTS = 20;

const SCORED = Date.UTC(2026, 0, 31);
const file = (name: string) =>
  new Uint8Array(readFileSync(join(import.meta.dirname, '../agent/harness/files', name)));

interface Seed {
  readonly kind: string;
  readonly selector: string | null;
  readonly bytes: Uint8Array;
  /** The score, read as carelessly as can be, where the file is as it should be; else NaN. */
  readonly careless: (text: string) => number;
}

const instant = (value: unknown) =>
  new TextEncoder().encode(
    JSON.stringify({ status: 'success', data: { resultType: 'vector', result: [{ value }] } }),
  );

function headerOf(archive: Uint8Array): Uint8Array {
  const entry = zipEntry(archive, 'header.json', 1 << 26);
  if (!entry.ok || entry.bytes === undefined) throw new Error('the archive has no header');
  return new Uint8Array(entry.bytes);
}

interface EvalRow {
  readonly entry_type: string;
  readonly passed: number;
  readonly total_evaluated: number;
}
const sum = (values: readonly number[]) => values.reduce((before, one) => before + one, 0);

const SEEDS: readonly Seed[] = [
  {
    kind: 'inspect',
    selector: 'match/accuracy',
    bytes: headerOf(file('inspect.eval')),
    careless: (text) => {
      const { status, results } = JSON.parse(text) as {
        status: string;
        results: { scores: { name: string; metrics: { accuracy: { value: number } } }[] };
      };
      const named = results.scores.filter(({ name }) => name === 'match');
      return status === 'success' ? named[0]!.metrics.accuracy.value : Number.NaN;
    },
  },
  { kind: 'inspect', selector: 'match/accuracy', bytes: file('inspect.eval'), careless: () => 0.7 },
  {
    kind: 'lm-eval',
    selector: 'mc_local/acc',
    bytes: file('lm-eval.json'),
    careless: (text) => JSON.parse(text).results.mc_local['acc,none'] as number,
  },
  {
    kind: 'garak',
    selector: null,
    bytes: file('garak.report.jsonl'),
    careless: (text) => {
      const rows = text.split('\n').filter((line) => line !== '');
      const evals = rows
        .map((line) => JSON.parse(line) as EvalRow)
        .filter((row) => row.entry_type === 'eval');
      return sum(evals.map((row) => row.passed)) / sum(evals.map((row) => row.total_evaluated));
    },
  },
  {
    kind: 'promptfoo',
    selector: null,
    bytes: file('promptfoo.json'),
    careless: (text) => {
      const { results } = JSON.parse(text) as {
        results: { results: { score: number; failureReason: number }[] };
      };
      const scored = results.results.filter(({ failureReason }) => failureReason !== 2);
      return sum(scored.map(({ score }) => score)) / scored.length;
    },
  },
  {
    kind: 'prometheus',
    selector: null,
    bytes: instant([SCORED / 1000, '0.75']),
    careless: (text) => Number(JSON.parse(text).data.result[0].value[1]),
  },
  {
    kind: 'json',
    selector: '/a/b',
    bytes: new TextEncoder().encode('{"a": {"b": {"score": 0.75, "samples": 9}}}'),
    careless: (text) => {
      const { b } = JSON.parse(text).a as { b: number | { score: number } };
      return typeof b === 'number' ? b : b.score;
    },
  },
];

/** What harnesses do not write, and hostile models might have them write. */
const STRANGE: readonly unknown[] = [
  ...[null, true, '', 'NaN', '0.9', '1e999', 'Infinity', [], {}, [[[]]], { score: 1 }, ['1']],
  ...[-1, 0, -0, 1, 2, 0.5, 1e-320, 1e308, -1e308, 2 ** 53, 2 ** 53 + 2, 0.1 + 0.2],
  ...[
    '9999-12-31T23:59:59Z',
    '1970-01-01T00:00:00Z',
    '2026-01-31',
    '\u0000',
    '\ud800',
    '__proto__',
  ],
  'x'.repeat(100_000),
  JSON.parse(`${'['.repeat(150)}${']'.repeat(150)}`) as unknown,
];

/**
 * Has the adapters read damaged results: bytes changed, cut and repeated, values replaced by strange
 * ones, fields lost and doubled. None may throw or take long; what is a score must be one by every
 * field, and be what the file says to somebody who reads it carelessly.
 */
export class ResultFuzzer {
  private readonly random: () => number;
  private files = 0;
  private readonly outcomes: Record<string, number> = {};
  private readonly faults: string[] = [];

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  run(count: number, onFile: (report: ResultFuzzReport) => void = () => {}): ResultFuzzReport {
    for (let one = 0; one < count; one++) {
      const seed = this.pick(SEEDS);
      this.read(seed, this.random() < 0.6 ? this.rewritten(seed) : this.damaged(seed.bytes));
      onFile(this.report());
    }
    return this.report();
  }

  private report(): ResultFuzzReport {
    return { files: this.files, outcomes: this.outcomes, faults: this.faults };
  }

  private read({ kind, selector, careless }: Seed, bytes: Uint8Array): void {
    this.files++;
    const started = performance.now();
    let outcome: Outcome;
    try {
      outcome = HARNESSES[kind]!.adapter(bytes, selector, SCORED);
    } catch (error) {
      this.fault(kind, `threw ${String(error)}`, bytes);
      return;
    }
    const took = performance.now() - started;
    if (took > MAX_MS) this.fault(kind, `took ${Math.round(took)} ms`, bytes);
    const name = outcome.ok ? 'score' : outcome.reason;
    this.outcomes[name] = (this.outcomes[name] ?? 0) + 1;
    if (!outcome.ok) return;
    const { score, samples, observedAt, complete } = outcome.result;
    const isWhole =
      Number.isFinite(score) &&
      Number.isSafeInteger(samples) &&
      samples > 0 &&
      Number.isSafeInteger(observedAt) &&
      isDate(observedAt) &&
      complete >= 0 &&
      complete <= 1;
    if (!isWhole) this.fault(kind, JSON.stringify(outcome.result), bytes);
    const said = this.said(careless, bytes);
    if (Math.abs(said - score) < 1e-6 * Math.max(1, Math.abs(said))) return;
    this.fault(kind, `${score} from a file that says ${said}`, bytes);
  }

  private said(careless: Seed['careless'], bytes: Uint8Array): number {
    try {
      return careless(Buffer.from(bytes).toString());
    } catch {
      return Number.NaN;
    }
  }

  private fault(kind: string, what: string, bytes: Uint8Array): void {
    if (this.faults.length >= MAX_FAULTS) return;
    this.faults.push(`${kind}: ${what}: ${Buffer.from(bytes).toString('latin1').slice(0, 200)}`);
  }

  private damaged(seed: Uint8Array): Uint8Array {
    const bytes = seed.slice();
    const at = () => this.below(bytes.length);
    for (let one = this.below(12); one > 0; one--) bytes[at()] = this.below(256);
    switch (this.below(4)) {
      case 0:
        return bytes.subarray(0, at());
      case 1:
        return Buffer.concat([bytes, bytes.subarray(at())]);
      case 2:
        return Buffer.concat([bytes.subarray(0, at()), bytes.subarray(at())]);
      default:
        return bytes;
    }
  }

  /** With values of its tree changed, line by line where there are lines. */
  private rewritten({ kind, bytes }: Seed): Uint8Array {
    if (bytes[0] === 0x50) return this.damaged(bytes);
    const text = Buffer.from(bytes).toString();
    const lines = kind === 'garak' ? text.split('\n').filter((line) => line !== '') : [text];
    const changed = lines.map((line) => {
      const value = { root: JSON.parse(line) as unknown };
      const changes = kind === 'garak' ? this.below(2) : 1 + this.below(3);
      for (let one = 0; one < changes; one++) this.change(value);
      return JSON.stringify(value.root) ?? '';
    });
    return new TextEncoder().encode(changed.join('\n'));
  }

  /** Walks down to somewhere and changes what is there. */
  private change(root: object): void {
    let here = root as Record<string, unknown>;
    let names = Object.keys(here);
    for (;;) {
      const name = this.pick(names);
      const value = here[name];
      const isTree = typeof value === 'object' && value !== null && Object.keys(value).length > 0;
      if (isTree && (here === root || this.random() < 0.85)) {
        here = value as Record<string, unknown>;
        names = Object.keys(here);
        continue;
      }
      if (this.random() < 0.15) delete here[name];
      else if (this.random() < 0.1 && Array.isArray(here)) here.push(value);
      else here[name] = structuredClone(this.pick(STRANGE));
      return;
    }
  }

  private pick<Value>(values: readonly Value[]): Value {
    return values[this.below(values.length)]!;
  }

  private below(limit: number): number {
    return Math.floor(this.random() * limit);
  }
}
