import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describeMachine, loadNow } from '../test/lab/machine.ts';
import { runProgram } from '../test/lab/programs.ts';
import { type InProcessResults, RESULTS_FILE, type SuiteResult } from '../test/lab/suite.ts';
import { writeReport } from './report/write.ts';

/**
 * npm run bench [-- SUITE ...]       suites inside one process; all of them without a name
 * npm run bench -- controller --nodes 100,1000
 * npm run bench -- native [OPTIONS]  two tunnels beside wireguard-go and others, end to end
 * npm run bench -- soak [SECONDS]    full load for long: memory and descriptors
 * npm run bench -- start             how long meshtun takes to start, and what it costs
 * npm run bench -- userspace         tunnels inside processes, over both kinds of ports
 * npm run bench -- explain           what this machine gives a tunnel, and what its threads wait for
 *
 * What is measured goes to native-bench/results/ and into docs/BENCHMARKS.md.
 */

const END_TO_END: Readonly<Record<string, string>> = {
  native: 'end-to-end/run.ts',
  soak: 'end-to-end/soak.ts',
  start: 'end-to-end/start.ts',
  userspace: 'end-to-end/userspace.ts',
  explain: 'end-to-end/explain.ts',
};
const SUFFIX = '.bench.ts';
const FOLDERS = [import.meta.dirname, resolve(import.meta.dirname, '../test/bench')];
const OUTPUT = resolve(import.meta.dirname, 'results/in-process.json');

function readPrevious(): readonly SuiteResult[] {
  try {
    return (JSON.parse(readFileSync(OUTPUT, 'utf8')) as InProcessResults).suites;
  } catch {
    return [];
  }
}

const [first, ...rest] = process.argv.slice(2);
const endToEnd = first === undefined ? undefined : END_TO_END[first];
if (endToEnd !== undefined) {
  process.exit(await runProgram(resolve(import.meta.dirname, endToEnd), rest));
}

const args = process.argv.slice(2);
const optionsAt = args.findIndex((arg) => arg.startsWith('-'));
const wanted = optionsAt < 0 ? args : args.slice(0, optionsAt);
const options = optionsAt < 0 ? [] : args.slice(optionsAt);
const files = FOLDERS.flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => [name.slice(0, -SUFFIX.length), join(folder, name)] as const),
).sort();
const suiteFiles = new Map(files);
const unknown = wanted.filter((name) => !suiteFiles.has(name));
if (unknown.length > 0) {
  const known = [...suiteFiles.keys(), ...Object.keys(END_TO_END)].join(', ');
  console.error(`no such benchmark: ${unknown.join(', ')}; there are ${known}`);
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), 'bench-'));
const file = join(folder, 'results');
const startedAt = new Date().toISOString();
const loadBefore = loadNow();
try {
  writeFileSync(file, '');
  for (const name of wanted.length > 0 ? wanted : suiteFiles.keys()) {
    process.stderr.write(`${name}\n`);
    const { status } = spawnSync(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', suiteFiles.get(name)!, ...options],
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
