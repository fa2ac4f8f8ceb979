import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/agent/clock.ts';
import { commandSource, gaussianSource, parseScore } from '../../src/agent/score-source.ts';
import { SimClock } from '../lab/agent-clock.ts';
import { seededRandom } from '../lab/random.ts';
import { temporaryDirectory } from './support/rig.ts';

function isRunning(pid: number): boolean {
  try {
    // A zombie that nobody has reaped yet has ended, too.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

const never = new AbortController().signal;

test('the last non-empty line is the score: a number or an object with one', () => {
  expect(parseScore('loading ...\n0.75\n')).toEqual({ score: 0.75 });
  expect(parseScore('1e-1\n\n\n')).toEqual({ score: 0.1 });
  expect(parseScore('x\n{"score": 0.5, "samples": 40, "suite": "truth", "more": 1}\n')).toEqual({
    score: 0.5,
    samples: 40,
    suite: 'truth',
  });
  for (const bad of [
    '',
    'none',
    '1.1',
    '-0.1',
    'NaN',
    'Infinity',
    '0x1',
    '{"score":"1"}',
    '{"a"',
    '{}',
  ]) {
    expect(() => parseScore(bad), bad).toThrow(/not a score/);
  }
});

test('the Gaussian source has the mean and deviation it was given, cut to 0..1', async () => {
  const source = gaussianSource({ mean: 0.8, deviation: 0.05 }, new SimClock(), seededRandom(1));
  const scores: number[] = [];
  for (let i = 0; i < 4000; i++) scores.push((await source(never)).score);
  const mean = scores.reduce((a, b) => a + b) / scores.length;
  const variance = scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / scores.length;
  expect(mean).toBeCloseTo(0.8, 2);
  expect(Math.sqrt(variance)).toBeCloseTo(0.05, 2);
  expect(Math.max(...scores)).toBeLessThanOrEqual(1);
});

test('a ramp moves the mean linearly between its start and its end', async () => {
  const clock = new SimClock();
  const ramp = { to: 0.4, startS: 10, lengthS: 20 };
  const source = gaussianSource({ mean: 0.8, deviation: 0, ramp }, clock, () => 0.5);
  const at = async (seconds: number) => {
    await clock.advance(seconds * 1000);
    return (await source(never)).score;
  };
  expect(await at(0)).toBeCloseTo(0.8);
  expect(await at(10)).toBeCloseTo(0.8);
  expect(await at(10)).toBeCloseTo(0.6);
  expect(await at(10)).toBeCloseTo(0.4);
  expect(await at(100)).toBeCloseTo(0.4);
});

test('a command gives its last line, and its failures have names', async () => {
  const run = (command: string, timeoutMs = 5000) =>
    commandSource(command, timeoutMs, systemClock)(never);
  expect(await run('echo start; echo 0.9')).toEqual({ score: 0.9 });
  await expect(run('echo 0.9; exit 3')).rejects.toMatchObject({ code: 'exit_status' });
  await expect(run('true')).rejects.toMatchObject({ code: 'no_score' });
  await expect(run('yes | head -c 10000000; echo; echo 0.5')).resolves.toEqual({ score: 0.5 });
});

test('a command that takes too long is ended with everything it started', async () => {
  const directory = temporaryDirectory();
  const pidFile = join(directory.path, 'pid');
  const command = `sleep 30 & echo $! > ${pidFile}; wait`;
  const run = commandSource(command, 300, systemClock)(never);
  await expect(run).rejects.toMatchObject({ code: 'timeout' });
  const pid = Number(readFileSync(pidFile, 'utf8'));
  await expect.poll(() => isRunning(pid)).toBe(false);
  directory.remove();
});

test('a node that stops does not wait for its harness', async () => {
  const stop = new AbortController();
  const run = commandSource('sleep 30; echo 1', 60_000, systemClock)(stop.signal);
  setTimeout(() => stop.abort(), 50);
  await expect(run).rejects.toMatchObject({ code: 'exit_status' });
});
