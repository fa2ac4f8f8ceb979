import { appendFileSync } from 'node:fs';
import type { Machine } from './machine.ts';

export type Row = Readonly<Record<string, string | number>>;

/** What a suite measured, as `npm run bench` keeps it. */
export interface SuiteResult {
  readonly suite: string;
  readonly rows: readonly Row[];
}

/** What `npm run bench` keeps. */
export interface InProcessResults {
  readonly startedAt: string;
  readonly machine: Machine;
  readonly loadBefore: number;
  readonly loadAfter: number;
  readonly suites: readonly SuiteResult[];
}

/** File to which a suite that `npm run bench` runs appends its result, one JSON line each. */
export const RESULTS_FILE = 'BENCH_RESULTS_FILE';

/** Prints a table; keeps it if `npm run bench` asked for that. */
export function publish(suite: string, rows: readonly Row[]): void {
  console.log(`\n${suite}`);
  console.table(rows);
  const file = process.env[RESULTS_FILE];
  if (file === undefined) return;
  const result: SuiteResult = { suite, rows };
  appendFileSync(file, `${JSON.stringify(result)}\n`);
}
