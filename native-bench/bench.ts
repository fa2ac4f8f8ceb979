import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describeMachine, loadNow } from '../test/lab/machine.ts';
import { isHelp, listed, type Program, runProgram } from '../test/lab/programs.ts';
import { type InProcessResults, RESULTS_FILE, type SuiteResult } from '../test/lab/suite.ts';
import { writeReport } from './report/write.ts';

/**
 * `npm run bench -- --help` says what there is. What is measured goes to native-bench/results/ and into
 * docs/BENCHMARKS.md.
 */

const program = (file: string, shows: string): Program => ({
  file: resolve(import.meta.dirname, file),
  shows,
});
const END_TO_END: Readonly<Record<string, Program>> = {
  native: program(
    'end-to-end/run.ts',
    'two tunnels beside wireguard-go and others, from end to end',
  ),
  soak: program('end-to-end/soak.ts', 'full load for long: memory and descriptors'),
  start: program('end-to-end/start.ts', 'how long meshtun takes to start, and what it costs'),
  userspace: program(
    'end-to-end/userspace.ts',
    'tunnels inside processes, over both kinds of datagram ports',
  ),
  explain: program(
    'end-to-end/explain.ts',
    'what this machine gives a tunnel, and what its threads wait for',
  ),
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
if (endToEnd !== undefined) process.exit(await runProgram(endToEnd.file, rest));

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
if (isHelp(first)) {
  console.log(`usage: npm run bench [-- SUITE ... [OPTIONS]], inside one process, all without a name:
  ${[...suiteFiles.keys()].join(', ')}
or: npm run bench -- NAME [OPTIONS], where NAME is one of
${listed(END_TO_END)}`);
  process.exit(0);
}
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
