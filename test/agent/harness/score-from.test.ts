import { execFileSync } from 'node:child_process';
import { mkdirSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../src/agent/clock.ts';
import type { Outcome } from '../../../src/agent/harness/outcome.ts';
import { measured, parseScoreOrigin, scoreFrom } from '../../../src/agent/harness/score-from.ts';
import { temporaryDirectory } from '../support/rig.ts';

const never = new AbortController().signal;

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

const path = (...names: string[]) => join(directory.path, ...names);
const from = (text: string) =>
  scoreFrom(parseScoreOrigin(text)!, { clock: systemClock, minDone: 0.9 });

/** Writes a file as of some seconds ago. */
function written(name: string, content: string, secondsAgo: number): void {
  writeFileSync(path(name), content);
  const at = Date.now() / 1000 - secondsAgo;
  utimesSync(path(name), at, at);
}

test('where scores come from is a kind, a place and what in it', () => {
  expect(parseScoreOrigin('lm-eval:/var/results#task/acc,none')).toEqual({
    kind: 'lm-eval',
    location: '/var/results',
    selector: 'task/acc,none',
  });
  expect(parseScoreOrigin('prometheus:http://h:9090#up{a="#"}')).toEqual({
    kind: 'prometheus',
    location: 'http://h:9090',
    selector: 'up{a="#"}',
  });
  for (const bad of ['', 'inspect', 'inspect:', 'other:/x', 'constructor:/x', '/x']) {
    expect(parseScoreOrigin(bad), bad).toBeUndefined();
  }
});

test('the newest file of a folder counts, with the date of when it was written', async () => {
  mkdirSync(path('runs'));
  written('runs/old.json', '0.1', 500);
  written('runs/new.json', '0.9', 100);
  written('runs/notes.txt', '0.2', 1);
  const measurement = await from(`json:${path('runs')}`)(never);
  expect(measurement).toMatchObject({ score: 0.9, samples: 1 });
  expect(Math.abs(Date.now() - 100_000 - measurement!.observedAt!)).toBeLessThan(30_000);
});

test('a file that is being written is waited for; one that stays half is said to be, once', async () => {
  const source = from(`json:${path('a.json')}`);
  written('a.json', '{"score": 0.', 1);
  expect(await source(never)).toBeNull();
  written('a.json', '{"score": 0.9}', 0);
  expect(await source(never)).toMatchObject({ score: 0.9 });
  written('a.json', '{"score": 0.', 600);
  await expect(source(never)).rejects.toMatchObject({ code: 'not_json' });
  expect(await source(never)).toBeNull();
});

test('what is not there, no file, or too large has a name', async () => {
  await expect(from(`json:${path('none')}`)(never)).rejects.toMatchObject({ code: 'not_found' });
  execFileSync('mkfifo', [path('pipe.json')]);
  await expect(from(`json:${path('pipe.json')}`)(never)).rejects.toMatchObject({
    code: 'not_found',
  });
  written('large.json', '', 600);
  truncateSync(path('large.json'), 200 << 20);
  await expect(from(`json:${path('large.json')}`)(never)).rejects.toMatchObject({
    code: 'too_large',
  });
});

const outcome = (change: object): Outcome => ({
  ok: true,
  result: { score: 0.5, samples: 10, stderr: null, observedAt: 1e12, complete: 1, ...change },
});

test('a run of which too little was scored is none', () => {
  const read = (complete: number) => measured(outcome({ complete }), { minDone: 0.9 });
  expect(read(0.95)).toEqual({ score: 0.5, samples: 10, observedAt: 1e12 });
  expect(() => read(0.2)).toThrow('20.0 % of the run were scored, at least 90 % are needed');
});

test('other ranges and lower-is-better are mapped as told, and refused where they do not fit', () => {
  const read = (score: number, map?: { zero: number; one: number }, lowerIsBetter = false) =>
    measured(outcome({ score, lowerIsBetter }), { minDone: 0, ...(map ? { map } : {}) }).score;
  expect(read(70, { zero: 0, one: 100 })).toBe(0.7);
  expect(read(140, { zero: 500, one: 100 })).toBe(0.9);
  expect(read(0.1, { zero: 1, one: 0 }, true)).toBe(0.9);
  expect(() => read(70)).toThrow('70 is not between 0 and 1 (--map)');
  expect(() => read(600, { zero: 500, one: 100 })).toThrow('not between');
  expect(() => read(0.1, undefined, true)).toThrow('less is better');
});

test('a mean over time in Prometheus has as many samples as it averages', async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const query = new URL(request.url!, 'http://x').searchParams.get('query')!;
    asked.push(query);
    const value = query.startsWith('count') ? '30' : '0.99';
    const result = [{ metric: {}, value: [1795789901.5, value] }];
    response.end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const base = `prometheus:http://127.0.0.1:${port}`;
  expect(await from(`${base}#avg_over_time(up[5m])`)(never)).toEqual({
    score: 0.99,
    samples: 30,
    observedAt: 1_795_789_901_500,
  });
  expect(asked).toEqual(['avg_over_time(up[5m])', 'count_over_time(up[5m])']);
  expect(await from(`${base}#up`)(never)).toMatchObject({ samples: 1 });
  server.close();
  server.closeAllConnections();
  await expect(from(`${base}#up`)(never)).rejects.toMatchObject({ code: 'not_found' });
});
