import { median, summarise } from '../../test/lab/statistics.ts';
import { REFERENCE, type Results, ratiosOf, valuesOf } from '../end-to-end/results.ts';
import { number, ratio, table } from './table.ts';

const OURS = 'meshtun';

interface Line {
  readonly label: string;
  readonly measure: string;
  readonly metric: string;
}

const THROUGHPUT: readonly Line[] = [
  { label: 'TCP, 1 stream, Gbit/s', measure: 'tcp1', metric: 'gbps' },
  { label: 'TCP, 8 streams, Gbit/s', measure: 'tcp8', metric: 'gbps' },
  { label: 'TCP, both directions at once, sum, Gbit/s', measure: 'both-ways', metric: 'gbps' },
];

const CPU: readonly Line[] = [
  { label: 'TCP, 1 stream', measure: 'tcp1', metric: 'cpuUsPerKb' },
  { label: 'TCP, 8 streams', measure: 'tcp8', metric: 'cpuUsPerKb' },
  { label: 'TCP, both directions at once', measure: 'both-ways', metric: 'cpuUsPerKb' },
];

const LATENCY: readonly Line[] = [
  ['idle, one tunnel up at a time', 'rtt-alone'],
  ['idle, all tunnels up', 'rtt-idle'],
  ['with 25,000 packets of 1400 bytes a second', 'rtt-moderate'],
  ['with a TCP stream at full rate', 'rtt-full'],
].flatMap(([label, measure]) => [
  { label: `${label}, p50`, measure: measure!, metric: 'p50Us' },
  { label: `${label}, p99`, measure: measure!, metric: 'p99Us' },
]);

const FOOTPRINT: readonly Line[] = [
  { label: 'start to answering on its socket, ms', measure: 'start-up', metric: 'ms' },
  { label: 'resident memory after the round, MB', measure: 'footprint', metric: 'residentMb' },
  { label: 'most resident memory ever, MB', measure: 'footprint', metric: 'peakMb' },
];

/** Tunnels between two of the same implementation, as far as they were measured. */
function likePairs(results: Results): string[] {
  const all = [REFERENCE, OURS, 'boringtun'];
  return all.filter((path) => results.samples.some((sample) => sample.path === path));
}

function value(results: Results, { measure, metric }: Line, path: string): string {
  const values = [...valuesOf(results, measure, path, metric).values()];
  return values.length === 0 ? '' : number(median(values));
}

/** `1.23 (1.19-1.30)`: median over the rounds, lowest and highest. */
function ratioWithSpread(results: Results, { measure, metric }: Line, path: string): string {
  const ratios = ratiosOf(results, measure, path, metric);
  if (ratios.length === 0) return '';
  const { median: middle, min, max } = summarise(ratios);
  return `**${ratio(middle)}** (${ratio(min)}-${ratio(max)})`;
}

function comparison(results: Results, first: string, lines: readonly Line[], bare: boolean) {
  const paths = likePairs(results);
  const head = [
    first,
    ...(bare ? ['no tunnel'] : []),
    ...paths,
    `${OURS}/${REFERENCE}`,
    ...(paths.includes('boringtun') ? [`boringtun/${REFERENCE}`] : []),
  ];
  const rows = lines.map((line) => [
    line.label,
    ...(bare ? [value(results, line, 'none')] : []),
    ...paths.map((path) => value(results, line, path)),
    ratioWithSpread(results, line, OURS),
    ...(paths.includes('boringtun') ? [ratioWithSpread(results, line, 'boringtun')] : []),
  ]);
  return table(head, rows);
}

export const throughputTable = (results: Results): string =>
  comparison(results, 'Throughput', THROUGHPUT, true);
export const cpuTable = (results: Results): string =>
  comparison(results, 'CPU of both ends, us per KB', CPU, false);
export const latencyTable = (results: Results): string =>
  comparison(results, 'Round trip, us', LATENCY, true);
export const footprintTable = (results: Results): string =>
  comparison(results, 'One end', FOOTPRINT, false);

/** Ours with wireguard-go at the other end, against wireguard-go at both. */
export function mixedTable(results: Results): string {
  const paths = ['meshtun-to-wireguard-go', 'wireguard-go-to-meshtun'];
  const rows = THROUGHPUT.map((line) => [
    line.label,
    value(results, line, REFERENCE),
    ...paths.flatMap((path) => [value(results, line, path), ratioWithSpread(results, line, path)]),
  ]);
  const head = paths.flatMap((path) => [path.replaceAll('-to-', ' to '), 'ratio']);
  return table(['Mixed pairs', `${REFERENCE} at both ends`, ...head], rows);
}

/** Received, thousands a second, and loss, at each offered rate. */
export function udpTable(results: Results): string {
  const measures = [...new Set(results.samples.map(({ measure }) => measure))];
  const paths = ['none', ...likePairs(results)];
  const rows = measures
    .filter((measure) => measure.startsWith('udp'))
    .map((measure) => {
      const [kind, offered] = measure.split('-') as [string, string];
      const received: Line = { label: '', measure, metric: 'receivedKpps' };
      const cells = paths.map((path) => {
        const losses = [...valuesOf(results, measure, path, 'loss').values()];
        if (losses.length === 0) return '';
        return `${value(results, received, path)} (${(Math.max(0, median(losses)) * 100).toFixed(1)} %)`;
      });
      return [
        `${kind === 'udp64' ? 'payload of 64 bytes' : 'packets of 1400 bytes'}, ${offered === 'flood' ? 'as many as go' : `${offered.slice(0, -1)},000/s`}`,
        ...cells,
        ratioWithSpread(results, received, OURS),
      ];
    });
  const names = paths.map((path) => (path === 'none' ? 'no tunnel' : path));
  return table(
    ['UDP: received, thousands/s (loss)', ...names, `${OURS}/${REFERENCE} received`],
    rows,
  );
}
