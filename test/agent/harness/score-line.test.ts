import { expect, test } from 'vitest';
import { parseScore } from '../../../src/agent/harness/score-line.ts';

test('the last non-empty line is the score: a number or an object with one', () => {
  expect(parseScore('loading ...\n0.75\n')).toEqual({ score: 0.75 });
  expect(parseScore('1e-1\n\n\n')).toEqual({ score: 0.1 });
  expect(parseScore('x\n{"score": 0.5, "samples": 40, "suite": "truth"}\n')).toEqual({
    score: 0.5,
    samples: 40,
    suite: 'truth',
  });
});

test('what is no score from 0 to 1 is none', () => {
  for (const bad of ['', 'none', '1.1', '-0.1', 'NaN', 'Infinity', '0x1', '{"a"', '{}']) {
    expect(() => parseScore(bad), bad).toThrow(/not a score|not JSON/);
  }
});

test('a field that is there and wrong makes it no score, and is named', () => {
  for (const [field, value] of [
    ['score', '"1"'],
    ['score', 'null'],
    ['samples', '0'],
    ['samples', '"3"'],
    ['samples', '2.5'],
    ['samples', 'null'],
    ['samples', '-1'],
    ['samples', '1e10'],
    ['suite', '7'],
    ['suite', '"Not A Suite"'],
    ['observed_at', '"yesterday"'],
    ['observed_at', '1795789907'],
    ['observed_at', 'null'],
    ['sample', '12'],
    ['n', '12'],
  ]) {
    const rest = field === 'score' ? '' : ', "score": 0.9';
    const line = `{"${field}": ${value}${rest}}`;
    expect(() => parseScore(line), line).toThrow(`"${field}" is`);
  }
});

test('a score that floating point has pushed off a decimal fraction is what it means', () => {
  expect((0.6 + 0.7 + 0.8) / 3).not.toBe(0.7);
  expect(parseScore('0.6999999999999998').score).toBe(0.7);
  expect(parseScore('1.0000000000000002').score).toBe(1);
  expect(parseScore('{"score": -1.1e-16}').score).toBe(0);
  expect(() => parseScore('1.000001')).toThrow();
  expect(parseScore('0.6999').score).toBe(0.6999);
});

test('a harness tells when it measured: ms since 1970, or a date with its time zone', () => {
  const observedAt = Date.UTC(2026, 10, 27, 14, 31, 0, 44);
  const of = (date: string) => parseScore(`{"score": 1, "observed_at": ${date}}`).observedAt;
  expect(of(String(observedAt))).toBe(observedAt);
  expect(of('"2026-11-27T14:31:00.044Z"')).toBe(observedAt);
  expect(of('"2026-11-27T15:31:00.044+01:00"')).toBe(observedAt);
});
