import { median } from '../../test/lab/statistics.ts';
import type { Row, SuiteResult } from '../../test/lab/suite.ts';
import { type Results, ratiosOf } from '../end-to-end/results.ts';
import { ratio, table } from './table.ts';

interface Goal {
  readonly label: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly measured: number | undefined;
}

function middle(results: Results, measure: string, path: string, metric: string) {
  const ratios = ratiosOf(results, measure, path, metric);
  return ratios.length === 0 ? undefined : median(ratios);
}

function cell(
  suites: readonly SuiteResult[],
  suite: string,
  matches: (row: Row) => boolean,
  column: string,
): number | undefined {
  const rows = suites.find((result) => result.suite.startsWith(suite))?.rows;
  const value = rows?.find(matches)?.[column];
  return typeof value === 'number' ? value : undefined;
}

/** Ours against wireguard-go, medians of the ratios of each round; what was aimed at beside it. */
export function goalsTable(results: Results, suites: readonly SuiteResult[]): string {
  const ours = (measure: string, metric: string) => middle(results, measure, 'meshtun', metric);
  const aead = (column: string) =>
    cell(
      suites,
      'ChaCha20-Poly1305',
      ({ bytes, implementation }) => bytes === 1420 && implementation === 'wasm-simd-revec',
      column,
    );
  const goals: Goal[] = [
    { label: 'TCP, one stream', atLeast: 1.2, measured: ours('tcp1', 'gbps') },
    { label: 'TCP, 8 streams', atLeast: 1.2, measured: ours('tcp8', 'gbps') },
    {
      label: 'TCP, both directions at once',
      atLeast: 1.2,
      measured: ours('both-ways', 'gbps'),
    },
    {
      label: 'CPU per KB, both ends, TCP, one stream',
      atMost: 0.8,
      measured: ours('tcp1', 'cpuUsPerKb'),
    },
    {
      label: 'UDP, 64 bytes, received under flood',
      atLeast: 2,
      measured: ours('udp64-flood', 'receivedKpps'),
    },
    {
      label: 'ours to wireguard-go, TCP, one stream',
      atLeast: 1,
      measured: middle(results, 'tcp1', 'meshtun-to-wireguard-go', 'gbps'),
    },
    {
      label: 'wireguard-go to ours, TCP, one stream',
      atLeast: 1,
      measured: middle(results, 'tcp1', 'wireguard-go-to-meshtun', 'gbps'),
    },
    { label: 'round trip, idle, p50', atMost: 1, measured: ours('rtt-alone', 'p50Us') },
    { label: 'round trip, idle, p99', atMost: 1, measured: ours('rtt-alone', 'p99Us') },
    { label: 'AEAD at 1420 bytes, against noble', atLeast: 12, measured: aead('times noble') },
    { label: 'AEAD at 1420 bytes, against node:crypto', atLeast: 5, measured: aead('times node') },
    {
      label: 'handshakes per second, both sides in one thread',
      atLeast: 1,
      measured: cell(
        suites,
        'Handshakes side by side',
        ({ handshake }) => handshake === 'datagrams',
        'ours/wireguard-go',
      ),
    },
  ];
  const rows = goals.map(({ label, atLeast, atMost, measured }) => {
    const aim = atLeast === undefined ? `at most ${ratio(atMost!)}` : `at least ${ratio(atLeast)}`;
    if (measured === undefined) return [label, aim, 'not measured', ''];
    const met = atLeast === undefined ? measured <= atMost! : measured >= atLeast;
    return [label, aim, ratio(measured), met ? 'met' : '**missed**'];
  });
  return table(['ours/wireguard-go', 'goal', 'median', ''], rows);
}
