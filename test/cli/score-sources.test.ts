import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ScoreSourceOptions, scoreSources } from '../../src/cli/score-sources.ts';
import { temporaryDirectory } from '../agent/support/rig.ts';

const never = new AbortController().signal;

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

function sources(change: Partial<ScoreSourceOptions>) {
  const options: ScoreSourceOptions = {
    suite: 'alignment',
    state: directory.path,
    minDone: 0.9,
    scoreDeviation: 0,
    ...change,
  };
  const quiet = () => {};
  return scoreSources(options, quiet, quiet);
}

test('each suite has its command, its interval and its time', async () => {
  const [quick, slow] = sources({
    scoreCommand: ['echo 0.8', 'red-team=sleep 0.1; echo 0.9'],
    emit: ['5', 'red-team=3600'],
    scoreTimeout: ['red-team=1800'],
  });
  expect(quick).toMatchObject({ suite: 'alignment', intervalMs: 5000 });
  expect(await quick!.source(never)).toEqual({ score: 0.8 });
  // What lasts is looked at every ten seconds, and its run is kept.
  expect(slow).toMatchObject({ suite: 'red-team', intervalMs: 10_000 });
  expect(await slow!.source(never)).toBeNull();
  expect(existsSync(join(directory.path, 'runs', 'red-team.json'))).toBe(true);
  await expect.poll(() => slow!.source(never), { timeout: 20_000 }).toMatchObject({ score: 0.9 });
});

test('what is wrong on the command line is named', () => {
  for (const [change, what] of [
    [{ scoreCommand: ['echo 1', 'alignment=echo 1'] }, 'two sources of scores'],
    [{ scoreCommand: ['echo 1'], scoreMean: 0.9 }, 'either --score-command or --score-mean'],
    [{ scoreMean: 0.9, emit: ['red-team=soon'] }, '--emit red-team=soon: Expected a number'],
    [{ scoreCommand: ['echo 1'], scoreTimeout: ['0'] }, '--score-timeout 0: Expected'],
    [{ scoreFrom: ['json:{node}.json'] }, '{node} is for `meshnet evaluator`'],
  ] as const) {
    expect(() => sources(change)).toThrow(what);
  }
});
