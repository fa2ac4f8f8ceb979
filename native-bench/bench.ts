import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describeMachine, loadNow } from './machine.ts';
import { writeReport } from './report/write.ts';
import { type InProcessResults, RESULTS_FILE, type SuiteResult } from './suite.ts';

/**
 * Runs every suite of this folder, each in a process of its own, and keeps what they measured in
 * native-bench/results/in-process.json. Arguments choose suites: `npm run bench -- aead datapath`.
 */

const SUFFIX = '.bench.ts';
const OUTPUT = resolve(import.meta.dirname, 'results/in-process.json');

function readPrevious(): readonly SuiteResult[] {
  try {
    return (JSON.parse(readFileSync(OUTPUT, 'utf8')) as InProcessResults).suites;
  } catch {
    return [];
  }
}

const wanted = process.argv.slice(2);
const known = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith(SUFFIX))
  .map((name) => name.slice(0, -SUFFIX.length))
  .sort();
const unknown = wanted.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  throw new Error(`no such suite: ${unknown.join(', ')}; there are ${known.join(', ')}`);
}

const folder = mkdtempSync(join(tmpdir(), 'bench-'));
const file = join(folder, 'results');
const startedAt = new Date().toISOString();
const loadBefore = loadNow();
try {
  writeFileSync(file, '');
  for (const name of wanted.length > 0 ? wanted : known) {
    process.stderr.write(`${name}\n`);
    const { status } = spawnSync(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, name + SUFFIX)],
      { stdio: 'inherit', env: { ...process.env, [RESULTS_FILE]: file } },
    );
    if (status !== 0) throw new Error(`${name} failed`);
  }
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  const suites = lines.map((line) => JSON.parse(line) as SuiteResult);
  // Suites that were not run keep what they measured before.
  const kept = wanted.length === 0 ? [] : readPrevious();
  const others = kept.filter(({ suite }) => !suites.some((fresh) => fresh.suite === suite));
  const results: InProcessResults = {
    startedAt,
    machine: describeMachine(),
    loadBefore,
    loadAfter: loadNow(),
    suites: [...others, ...suites],
  };
  mkdirSync(resolve(OUTPUT, '..'), { recursive: true });
  writeFileSync(OUTPUT, `${JSON.stringify(results, undefined, 1)}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
writeReport();
