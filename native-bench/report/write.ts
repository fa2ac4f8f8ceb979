import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Machine } from '../../test/lab/machine.ts';
import { median } from '../../test/lab/statistics.ts';
import type { InProcessResults, SuiteResult } from '../../test/lab/suite.ts';
import type { Results } from '../end-to-end/results.ts';
import type { SoakResults } from '../end-to-end/soak-results.ts';
import {
  cpuTable,
  footprintTable,
  latencyTable,
  mixedTable,
  throughputTable,
  udpTable,
} from './end-to-end-tables.ts';
import { goalsTable } from './goals.ts';
import { plot } from './plot.ts';
import { table } from './table.ts';

/**
 * Fills in docs/BENCHMARKS.md and draws docs/benchmarks.svg from native-bench/results. What stands
 * between `<!-- name -->` and `<!-- /name -->` is replaced; the words around it are kept.
 */

const ROOT = resolve(import.meta.dirname, '../..');
const DOCUMENT = `${ROOT}/docs/BENCHMARKS.md`;

function read<T>(name: string): T | undefined {
  const file = `${ROOT}/native-bench/results/${name}.json`;
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T) : undefined;
}

function machineLine(machine: Machine): string {
  const { cpu, cores, memoryGb, virtualization, kernel, node, v8, go, iperf3 } = machine;
  return (
    `${cpu}, ${cores} cores, ${memoryGb} GB, virtualization: ${virtualization}; Linux ${kernel}; ` +
    `Node ${node} (V8 ${v8}); Go ${go}; iperf3 ${iperf3}`
  );
}

function endToEndFacts(results: Results): string {
  const loads = results.samples.map(({ load }) => load);
  const versions = Object.entries(results.versions)
    .filter(([path]) => !path.includes('-to-'))
    .map(([path, version]) => `${path} ${version}`);
  return [
    `- ${machineLine(results.machine)}`,
    `- ${versions.join('; ')}`,
    `- ${results.startedAt}, ${results.minutes} minutes: ${results.rounds} rounds, ` +
      `${results.seconds} s for each run`,
    `- load average before the runs: median ${median(loads)}, ` +
      `${Math.min(...loads)} to ${Math.max(...loads)}`,
    ...results.skipped.map((line) => `- skipped: ${line}`),
    `- runs that failed: ${results.failures.length}`,
  ].join('\n');
}

function suiteTable({ suite, rows }: SuiteResult): string {
  const head = Object.keys(rows[0] ?? {});
  const cells = rows.map((row) => head.map((column) => String(row[column] ?? '')));
  return `### ${suite}\n\n${table(head, cells)}`;
}

function soakText(soak: SoakResults): string {
  const first = soak.samples[0]!;
  const last = soak.samples.at(-1)!;
  const rows = [0, 1].map((end) => {
    const isolates = soak.isolates[end]!;
    const collected = isolates.map(
      ({ collections, firstMb, lastMb }) => `${collections} (${firstMb} to ${lastMb} MB)`,
    );
    return [
      end === 0 ? 'left' : 'right',
      `${first.residentMb[end]} to ${last.residentMb[end]}`,
      `${first.descriptors[end]} to ${last.descriptors[end]}`,
      collected.length === 0 ? 'none' : collected.join(', '),
    ];
  });
  const head = ['end', 'resident memory, MB', 'descriptors', 'collections of each isolate'];
  return [
    `${soak.gigabytes} GB of TCP both ways in ${soak.seconds} s (${soak.startedAt}, ` +
      `load average ${soak.load}):`,
    '',
    table(head, rows),
  ].join('\n');
}

function fill(document: string, name: string, text: string): string {
  const [begin, finish] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const from = document.indexOf(begin);
  const to = document.indexOf(finish);
  if (from < 0 || to < from) throw new Error(`${DOCUMENT} has no place for ${name}`);
  return `${document.slice(0, from + begin.length)}\n\n${text}\n\n${document.slice(to)}`;
}

export function writeReport(): void {
  const results = read<Results>('end-to-end');
  const inProcess = read<InProcessResults>('in-process');
  const soak = read<SoakResults>('soak');
  let document = readFileSync(DOCUMENT, 'utf8');
  if (results !== undefined) {
    document = fill(document, 'goals', goalsTable(results, inProcess?.suites ?? []));
    document = fill(document, 'facts', endToEndFacts(results));
    document = fill(document, 'throughput', throughputTable(results));
    document = fill(document, 'cpu', cpuTable(results));
    document = fill(document, 'udp', udpTable(results));
    document = fill(document, 'latency', latencyTable(results));
    document = fill(document, 'mixed', mixedTable(results));
    document = fill(document, 'footprint', footprintTable(results));
    writeFileSync(`${ROOT}/docs/benchmarks.svg`, plot(results));
  }
  if (soak !== undefined) document = fill(document, 'growth', soakText(soak));
  if (inProcess !== undefined) {
    const { startedAt, loadBefore, loadAfter, suites, machine } = inProcess;
    const text = [
      `${startedAt}, load average ${loadBefore} before, ${loadAfter} after; ${machineLine(machine)}`,
      ...suites.map(suiteTable),
    ];
    document = fill(document, 'in-process', text.join('\n\n'));
  }
  writeFileSync(DOCUMENT, document);
}

if (import.meta.main) writeReport();
