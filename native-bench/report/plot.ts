import { summarise } from '../../test/lab/statistics.ts';
import { REFERENCE, type Results, ratiosOf } from '../end-to-end/results.ts';

interface Bar {
  readonly label: string;
  readonly measure: string;
  readonly metric: string;
  /** For CPU, times and memory, less is better. */
  readonly lessIsBetter?: boolean;
}

const BARS: readonly Bar[] = [
  { label: 'TCP, 1 stream', measure: 'tcp1', metric: 'gbps' },
  { label: 'TCP, 8 streams', measure: 'tcp8', metric: 'gbps' },
  { label: 'TCP, both directions', measure: 'both-ways', metric: 'gbps' },
  { label: 'UDP 64 B flood, received', measure: 'udp64-flood', metric: 'receivedKpps' },
  { label: 'UDP 1400 B flood, received', measure: 'udp1400-flood', metric: 'receivedKpps' },
  { label: 'CPU per KB', measure: 'tcp1', metric: 'cpuUsPerKb', lessIsBetter: true },
  { label: 'Round trip idle, p50', measure: 'rtt-idle', metric: 'p50Us', lessIsBetter: true },
  { label: 'Round trip idle, p99', measure: 'rtt-idle', metric: 'p99Us', lessIsBetter: true },
  { label: 'Resident memory', measure: 'footprint', metric: 'residentMb', lessIsBetter: true },
];

const PATHS = [
  { name: 'meshtun', color: '#2563eb' },
  { name: 'boringtun', color: '#9ca3af' },
];

const WIDTH = 760;
const LEFT = 210;
const RIGHT = 70;
const TOP = 50;
const ROW = 38;
const BAR_HEIGHT = 12;
/** Ratios from a quarter to four times, on a logarithmic scale: twice is as far as half. */
const LOG_LIMIT = 2;

const x = (ratio: number): number => {
  const log = Math.max(-LOG_LIMIT, Math.min(LOG_LIMIT, Math.log2(ratio)));
  return LEFT + ((log + LOG_LIMIT) / (2 * LOG_LIMIT)) * (WIDTH - LEFT - RIGHT);
};

/** Median ratios over the reference, with the spread of the rounds, as an SVG picture. */
export function plot(results: Results): string {
  const height = TOP + BARS.length * ROW + 30;
  const out: string[] = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" ` +
      `viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    `<text x="${LEFT}" y="20" font-weight="bold">Ratio to ${REFERENCE}, medians of ` +
      `${results.rounds} rounds, lines: lowest and highest round</text>`,
  ];
  for (const [i, { name, color }] of PATHS.entries()) {
    const at = LEFT + i * 110;
    out.push(
      `<rect x="${at}" y="28" width="12" height="12" fill="${color}"/>`,
      `<text x="${at + 18}" y="39">${name}</text>`,
    );
  }
  for (const tick of [0.25, 0.5, 1, 2, 4]) {
    const at = x(tick).toFixed(1);
    out.push(
      `<line x1="${at}" x2="${at}" y1="${TOP}" y2="${height - 22}" ` +
        `stroke="${tick === 1 ? '#111' : '#ddd'}"/>`,
      `<text x="${at}" y="${height - 7}" text-anchor="middle" fill="#555">${tick}</text>`,
    );
  }
  for (const [row, bar] of BARS.entries()) {
    const top = TOP + row * ROW + 6;
    const better = bar.lessIsBetter ? 'less is better' : 'more is better';
    out.push(
      `<text x="${LEFT - 10}" y="${top + 10}" text-anchor="end">${bar.label}</text>`,
      `<text x="${LEFT - 10}" y="${top + 23}" text-anchor="end" fill="#777" font-size="10">${better}</text>`,
    );
    for (const [i, { name, color }] of PATHS.entries()) {
      const ratios = ratiosOf(results, bar.measure, name, bar.metric);
      if (ratios.length === 0) continue;
      const { median, min, max } = summarise(ratios);
      const [from, to] = [x(1), x(median)].sort((a, b) => a - b) as [number, number];
      const y = top + i * (BAR_HEIGHT + 2);
      const middle = y + BAR_HEIGHT / 2;
      out.push(
        `<rect x="${from.toFixed(1)}" y="${y}" width="${(to - from).toFixed(1)}" ` +
          `height="${BAR_HEIGHT}" fill="${color}"/>`,
        `<line x1="${x(min).toFixed(1)}" x2="${x(max).toFixed(1)}" y1="${middle}" y2="${middle}" ` +
          `stroke="#111"/>`,
        `<text x="${WIDTH - RIGHT + 8}" y="${y + 10}" font-size="11" fill="${color}">${median.toFixed(2)}</text>`,
      );
    }
  }
  out.push('</svg>', '');
  return out.join('\n');
}
