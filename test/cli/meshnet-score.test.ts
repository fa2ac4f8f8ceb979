import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockFile } from '../../src/ground/lock.ts';
import { EvaluatorRig } from './evaluator-rig.ts';

let rig: EvaluatorRig;
beforeEach(async () => {
  rig = await EvaluatorRig.open();
});
afterEach(() => rig.close());

/** Runs `meshnet score` in a process of its own. */
const score = (parameters: readonly string[], input = '') => rig.run('score', parameters, input);

test('several report at the same time with one key: no score is lost', async () => {
  const values = [0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98];
  const runs = values.map((value) => score(['node-a', String(value)]));
  const results = await Promise.all(runs);
  expect(results.map(({ code, err }) => ({ code, err }))).toEqual(
    values.map(() => ({ code: 0, err: '' })),
  );
  const sequences = results.map(({ out }) => Number(/sequence (\d+)/.exec(out)?.[1]));
  expect(sequences.sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test('a key that stays in use is said to be, with the name of who has it', async () => {
  const lock = lockFile(rig.key, { program: 'meshnet score' });
  expect(() => lockFile(rig.key, { program: 'another' })).toThrow(
    `${rig.key}: is in use by meshnet score, process ${process.pid}`,
  );
  lock.release();
});

test('a batch reports many in one process; a bad line is named and costs only itself', async () => {
  const lines = [
    'node-a 0.9',
    '',
    '{"node": "node-b", "score": 0.6999999999999998, "samples": 40}',
    'node-a 1.5',
    '{"node": "node-b", "score": 0.9, "samples": 0}',
    'node-x 0.9',
    'node-a 0.8 extra',
    'node-a 0.8',
  ];
  const { code, out, err } = await score(['--batch'], `${lines.join('\n')}\n`);
  expect(out.trim().split('\n')).toEqual([
    'node-a: 0.9 (red-team, sequence 1) accepted',
    'node-b: 0.7 (red-team, sequence 1) accepted',
    'node-a: 0.8 (red-team, sequence 2) accepted',
  ]);
  for (const [line, what] of [
    [4, /"score" is not a score/],
    [5, /"samples" is not an integer/],
    [6, /unknown_node/],
    [7, /expected NODE SCORE/],
  ] as const) {
    const said = err.split('\n').find((one) => one.includes(`line ${line}:`));
    expect(said).toMatch(what);
  }
  expect(err).toContain('4 of 8 lines failed');
  expect(code).toBe(4);
});

test('a batch that is faster than the controller takes scores waits for it', async () => {
  const lines = Array.from({ length: 14 }, (_, i) => `node-a 0.8${i}\n`).join('');
  const { code, out } = await score(['--batch'], lines);
  expect(code).toBe(0);
  expect(out.match(/accepted/g)).toHaveLength(14);
});

test('a batch ends where nobody answers, and says from which line on', async () => {
  const away = ['--batch', '--controller', 'http://127.0.0.1:1'];
  const { code, err } = await score(away, 'node-a 0.9\nnode-b 0.9\n');
  expect(code).toBe(3);
  expect(err).toMatch(/line 1: .*; the rest was not sent/);
});

test('a result carries the date that it was measured at, and counts once', async () => {
  const observedAt = Date.now() - 20_000;
  const dated = ['node-a', '0.9', '--observed-at', new Date(observedAt).toISOString()];
  expect((await score(dated)).out).toContain('sequence 1) accepted');
  expect((await score(dated)).out).toContain('is not sent again');
  const known = await rig.scoresOf('node-a');
  expect(known.map((one) => one.observedAt)).toEqual([observedAt]);
  const { code, err } = await score(['node-a', '0.9', '--observed-at', 'yesterday']);
  expect(code).toBe(2);
  expect(err).toContain('"observed_at" is neither');
});

test('what a harness left is reported as it says itself, once', async () => {
  const result = join(import.meta.dirname, '../agent/harness/files/promptfoo.json');
  const parameters = ['node-a', '--score-from', `promptfoo:${result}`];
  expect((await score(parameters)).out).toContain('sequence 1) accepted');
  expect((await score(parameters)).out).toContain('is not sent again');
  expect(await rig.scoresOf('node-a')).toMatchObject([
    { samples: 6, observedAt: Date.parse('2026-11-27T14:31:00.044Z') },
  ]);
  const limited = await score([...parameters, '--map', '0..0.5']);
  expect(limited).toMatchObject({ code: 1 });
  expect(limited.err).toContain('not between 0 and 0.5 (--map)');
  for (const [bad, what] of [
    [['--score-from', 'other:x'], 'KIND one of inspect'],
    [['--score-from', `promptfoo:${result}`, '--map', 'a..b'], '--map a..b'],
    [['0.9', '--score-from', `promptfoo:${result}`], 'give a node and its score'],
  ] as const) {
    const { code, err } = await score(['node-a', ...bad]);
    expect(code).toBe(2);
    expect(err).toContain(what);
  }
});
