import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EvaluatorRig } from './evaluator-rig.ts';

interface Watching {
  readonly child: ChildProcess;
  readonly events: Record<string, unknown>[];
  readonly ended: Promise<unknown[]>;
}

let rig: EvaluatorRig;
let started: Watching[];
beforeEach(async () => {
  rig = await EvaluatorRig.open();
  started = [];
});
afterEach(async () => {
  await Promise.all(started.map(stop));
  await rig.close();
});

const soon = { timeout: 20_000, interval: 20 };
const path = (...names: string[]) => join(rig.directory, 'results', ...names);

/** `meshnet evaluator` over what is written to {@link path}. */
function watch(...parameters: string[]): Watching {
  const all = ['--json', '--interval', '0.1', ...parameters];
  const child = rig.start('evaluator', all);
  const events: Record<string, unknown>[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => {
    events.push(JSON.parse(line) as Record<string, unknown>);
  });
  child.stderr!.pipe(process.stderr);
  const watching = { child, events, ended: once(child, 'exit') };
  started.push(watching);
  return watching;
}

async function stop({ child, ended }: Watching): Promise<unknown[]> {
  child.kill('SIGINT');
  return await ended;
}

const named = ({ events }: Watching, event: string, node?: string) =>
  events.filter((one) => one.event === event && (node === undefined || one.node === node));

function promptfoo(score: number, at: number): string {
  const file = join(import.meta.dirname, '../agent/harness/files/promptfoo.json');
  const output = JSON.parse(readFileSync(file, 'utf8')) as {
    results: { timestamp: string; results: { score: number }[] };
  };
  output.results.timestamp = new Date(at).toISOString();
  for (const one of output.results.results) one.score = score;
  return JSON.stringify(output);
}

test('results of many nodes are reported as they come, each once, also over a restart', async () => {
  mkdirSync(path('node-a'), { recursive: true });
  const now = Date.now();
  writeFileSync(path('node-a', 'out.json'), promptfoo(0.9, now - 60_000));
  const parameters = ['--score-from', `promptfoo:${path('{node}')}`];
  const first = watch(...parameters);
  await expect.poll(() => named(first, 'score', 'node-a').length, soon).toBe(1);
  mkdirSync(path('node-b'));
  mkdirSync(path('NO NODE'));
  writeFileSync(path('node-b', 'out.json'), promptfoo(0.8, now - 50_000));
  await expect.poll(() => named(first, 'score', 'node-b').length, soon).toBe(1);
  expect(await rig.scoresOf('node-b')).toMatchObject([
    { suite: 'red-team', score: 0.8, samples: 6, observedAt: now - 50_000 },
  ]);
  expect(named(first, 'watching').map(({ nodes }) => nodes)).toEqual([1, 2]);
  expect((await stop(first))[0]).toBe(0);
  expect(first.events.at(-1)).toMatchObject({ event: 'stopped' });

  writeFileSync(path('node-a', 'next.json'), promptfoo(0.7, now - 10_000));
  const second = watch(...parameters);
  await expect.poll(() => named(second, 'score', 'node-a').length, soon).toBe(1);
  await stop(second);
  expect(named(second, 'score')).toMatchObject([{ node: 'node-a', score: 0.7, sequence: 2 }]);
});

test('what is no score is told once with its reason, and costs the other nodes nothing', async () => {
  mkdirSync(path(), { recursive: true });
  writeFileSync(path('node-a.json'), '{"score": 7}');
  writeFileSync(path('node-b.json'), '{"score": 0.9}');
  writeFileSync(path('node-x.json'), '{"score": 0.9}');
  const watching = watch('--score-from', `json:${path('{node}.json')}`);
  await expect.poll(() => named(watching, 'score', 'node-b').length, soon).toBe(1);
  await expect.poll(() => named(watching, 'score_failed').length, soon).toBe(2);
  writeFileSync(path('node-a.json'), '{"score": 0.7}');
  await expect.poll(() => named(watching, 'score', 'node-a').length, soon).toBe(1);
  await stop(watching);
  expect(named(watching, 'score_failed', 'node-a')).toMatchObject([{ code: 'not_a_number' }]);
  expect(named(watching, 'score_failed', 'node-x')).toMatchObject([{ code: 'unknown_node' }]);
});

test('a place that is not there yet is said to be, once, and looked at when it is', async () => {
  const watching = watch('--score-from', `json:${path('{node}', 'score.json')}`);
  await expect.poll(() => named(watching, 'score_failed').length, soon).toBe(1);
  expect(watching.events[0]).toMatchObject({ node: null, code: 'not_found' });
  mkdirSync(path('node-a'), { recursive: true });
  await expect.poll(() => named(watching, 'score_failed', 'node-a').length, soon).toBe(1);
  writeFileSync(path('node-a', 'score.json'), '0.9');
  await expect.poll(() => named(watching, 'score', 'node-a').length, soon).toBe(1);
  rmSync(path('node-a'), { recursive: true });
  await expect.poll(() => named(watching, 'watching').at(-1)!.nodes, soon).toBe(0);
});

test('a URL is asked about each node that is named', async () => {
  const asked = new Set<string>();
  const server = createServer((request, response) => {
    const query = new URL(request.url!, 'http://x').searchParams.get('query')!;
    asked.add(query);
    const value = query.includes('node-a') ? '0.95' : 'NaN';
    const result = [{ metric: {}, value: [Date.now() / 1000, value] }];
    response.end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const from = `prometheus:http://127.0.0.1:${port}#up{job="{node}"}`;
  const watching = watch('--score-from', from, '--node', 'node-a,node-b');
  await expect.poll(() => named(watching, 'score', 'node-a').length, soon).toBeGreaterThan(1);
  await stop(watching);
  server.close();
  server.closeAllConnections();
  expect(asked).toEqual(new Set(['up{job="node-a"}', 'up{job="node-b"}'])); // two at a time, in no order
  expect(named(watching, 'score_failed')).toMatchObject([{ node: 'node-b', code: 'not_a_number' }]);
});

test('a controller that is away is told of once, and what it missed is reported when it is back', async () => {
  mkdirSync(path(), { recursive: true });
  const { url } = rig.controller;
  const watching = watch('--score-from', `json:${path('{node}.json')}`);
  await expect.poll(() => watching.events.length, soon).toBe(1);
  await rig.controller.close();
  writeFileSync(path('node-a.json'), '0.8');
  utimesSync(path('node-a.json'), Date.now() / 1000 - 5, Date.now() / 1000 - 5);
  await expect.poll(() => named(watching, 'controller').length, soon).toBe(1);
  await rig.startController(Number(new URL(url).port));
  await expect.poll(() => named(watching, 'score', 'node-a').length, soon).toBe(1);
  expect(named(watching, 'controller').map(({ ok }) => ok)).toEqual([false, true]);
  expect(await rig.scoresOf('node-a')).toMatchObject([{ score: 0.8 }]);
});

test('one key is for one evaluator; what is asked must tell nodes apart', async () => {
  mkdirSync(path(), { recursive: true });
  const watching = watch('--score-from', `json:${path('{node}.json')}`);
  await expect.poll(() => watching.events.length, soon).toBe(1);
  const other = await rig.run('evaluator', ['--score-from', `json:${path('{node}.json')}`]);
  expect(other).toMatchObject({ code: 1 });
  expect(other.err).toContain('is in use by meshnet evaluator');
  for (const [parameters, what] of [
    [[], 'at least one is needed'],
    [['--score-from', 'json:results'], 'expected {node}'],
    [['--score-from', 'json:results#/{node}'], '--node must name them'],
    [['--score-from', 'prometheus:http://x#up{n="{node}"}'], '--node must name them'],
    [['--score-from', 'json:a/{node}', '--score-from', 'json:b/{node}'], 'two sources'],
    [['--score-from', 'json:a/{node}', '--node', 'A b'], '--node A b'],
  ] as const) {
    const { code, err } = await rig.run('evaluator', parameters);
    expect(err).toContain(what);
    expect(code).toBe(2);
  }
});
