import { expect, test } from 'vitest';
import { type Results, ratiosOf } from '../../native-bench/end-to-end/results.ts';
import { plot } from '../../native-bench/report/plot.ts';
import { number } from '../../native-bench/report/table.ts';

const sample = (round: number, path: string, gbps: number) => ({
  round,
  measure: 'tcp1',
  path,
  load: 0.1,
  values: { gbps },
});

const results: Results = {
  startedAt: '2026-01-01T00:00:00.000Z',
  minutes: 1,
  machine: {
    cpu: 'some',
    cores: 2,
    memoryGb: 8,
    virtualization: 'none',
    kernel: '6.12',
    node: '26',
    v8: '14',
    go: '1.26',
    iperf3: '3.12',
  },
  versions: {},
  skipped: [],
  rounds: 3,
  seconds: 1,
  samples: [
    sample(0, 'wireguard-go', 2),
    sample(0, 'meshtun', 3),
    sample(1, 'meshtun', 10), // the reference failed in this round
    sample(2, 'wireguard-go', 1),
    sample(2, 'meshtun', 4),
  ],
  failures: [],
};

test('a ratio compares what was measured in the same round only', () => {
  expect(ratiosOf(results, 'tcp1', 'meshtun', 'gbps')).toEqual([1.5, 4]);
  expect(ratiosOf(results, 'tcp8', 'meshtun', 'gbps')).toEqual([]);
});

test('the plot shows the median ratio of what was measured', () => {
  const svg = plot(results);
  expect(svg).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
  expect(svg).toContain('>2.75</text>');
});

test.each([
  [0, '0'],
  [0.0123, '0.012'],
  [1.005, '1.00'],
  [12.34, '12.3'],
  [123.4, '123'],
  [12_345, '12345'],
])('%d is written as %s', (value, text) => {
  expect(number(value)).toBe(text);
});
