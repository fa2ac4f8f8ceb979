import { InvalidArgumentError } from 'commander';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  durationSeconds,
  hostAndPort,
  integerBetween,
  numberBetween,
} from '../../src/cli/numbers.ts';
import { scoreLines } from '../../src/cli/score-lines.ts';
import { didYouMean, editDistance } from '../../src/cli/suggest.ts';
import { bytes, duration, table } from '../../src/cli/table.ts';

/** Straight from the definition. */
function slowDistance(a: string, b: string): number {
  if (a === '' || b === '') return a.length + b.length;
  const [x, y] = [a.slice(1), b.slice(1)];
  let best = Math.min(
    slowDistance(x, b) + 1,
    slowDistance(a, y) + 1,
    slowDistance(x, y) + (a[0] === b[0] ? 0 : 1),
  );
  if (a.length > 1 && b.length > 1 && a[0] === b[1] && a[1] === b[0]) {
    best = Math.min(best, slowDistance(a.slice(2), b.slice(2)) + 1);
  }
  return best;
}

test('the edit distance is the one of the definition', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 5 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      expect(editDistance(a, b)).toBe(slowDistance(a, b));
    }),
  );
});

test('a slip of the finger is recognised, another word is not', () => {
  const nodes = ['node-a', 'node-b', 'gateway'];
  expect(didYouMean('ndoe-a', nodes)).toBe('node-a');
  expect(didYouMean('gatway', nodes)).toBe('gateway');
  expect(didYouMean('printer', nodes)).toBeUndefined();
  expect(didYouMean('x', nodes)).toBeUndefined();
});

test('option values are parsed strictly', () => {
  expect(numberBetween(0, 1)('0.70')).toBe(0.7);
  for (const bad of ['', 'NaN', '1.1', '-1', '1e0', '0x1', ' 1']) {
    expect(() => numberBetween(0, 1)(bad)).toThrow(InvalidArgumentError);
  }
  expect(integerBetween(0, 65_535)('51820')).toBe(51820);
  for (const bad of ['65536', '1.5', '-1']) {
    expect(() => integerBetween(0, 65_535)(bad)).toThrow(InvalidArgumentError);
  }
  expect(['90', '90s', '10m', '2h', '1d'].map(durationSeconds)).toEqual([
    90, 90, 600, 7200, 86_400,
  ]);
  expect(() => durationSeconds('1w')).toThrow(InvalidArgumentError);
  expect(hostAndPort(':80')).toEqual({ host: '127.0.0.1', port: 80 });
  expect(hostAndPort('[::1]:80')).toEqual({ host: '::1', port: 80 });
  expect(() => hostAndPort('80')).toThrow(InvalidArgumentError);
});

test('tables line up and durations fit a glance', () => {
  expect(
    table([
      ['A', 'BB'],
      ['ccc', ''],
    ]),
  ).toBe('A    BB\nccc');
  expect([0.25, 42, 300, 9000, null].map(duration)).toEqual(['0.3 s', '42 s', '5 min', '3 h', '-']);
  expect([5, 2048, 3 * 2 ** 30].map(bytes)).toEqual(['5 B', '2.0 KiB', '3.0 GiB']);
});

test('own measurements are told in a line: what runs, what was, how old, and what went wrong', () => {
  const nothing = { suite: 'red-team', running_s: null, score: null, age_s: null, failure: null };
  const last = { ...nothing, score: 0.91, age_s: 2400 };
  const judged = {
    suites: [
      { suite: 'red-team', score: 0.91, age_s: 2400, samples: 9, passed: true, max_age_s: 86_400 },
    ],
  };
  expect(scoreLines([{ ...last, running_s: 720 }], judged)).toEqual([
    'red-team: running for 12 min, last 0.910, 40 min old of 24 h',
  ]);
  expect(scoreLines([nothing, { ...last, failure: 'exit_status' }])).toEqual([
    'red-team: no score yet',
    'red-team: last 0.910, 40 min old, exit_status',
  ]);
  expect(scoreLines(undefined)).toEqual([]);
});
