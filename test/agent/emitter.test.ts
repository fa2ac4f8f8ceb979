import { beforeEach, expect, test } from 'vitest';
import { ControllerClient } from '../../src/agent/controller-client.ts';
import { Counters } from '../../src/agent/counters.ts';
import { Emitter } from '../../src/agent/emitter.ts';
import type { AgentEvent } from '../../src/agent/events.ts';
import type { NodeState } from '../../src/agent/node-state.ts';
import { ScoreError, type ScoreSource } from '../../src/agent/score-source.ts';
import type { BenchmarkDocument } from '../../src/contract/benchmark.ts';
import type { Envelope } from '../../src/contract/envelope.ts';
import { SimClock } from '../lab/agent-clock.ts';
import { memoryState } from '../lab/memory-state.ts';
import { crypto } from './support/rig.ts';

let clock: SimClock;
let state: NodeState;
/** Every document that was posted, and what is answered to the next ones. */
let posted: BenchmarkDocument[];
let answers: (() => Response)[];
let events: AgentEvent[];

beforeEach(() => {
  clock = new SimClock();
  state = memoryState();
  posted = [];
  answers = [];
  events = [];
});

function emitter(source: ScoreSource = async () => ({ score: 0.9 })) {
  const client = new ControllerClient({
    fetch: async (_url, init) => {
      const { payload } = JSON.parse(String(init.body)) as Envelope;
      posted.push(JSON.parse(Buffer.from(payload, 'base64').toString()));
      return answers.shift()?.() ?? Response.json({}, { status: 202 });
    },
    clock,
    crypto,
    random: (length) => new Uint8Array(length),
    url: 'http://controller.test',
    timeoutMs: 5000,
  });
  return new Emitter({
    client,
    source,
    state: state,
    meshId: new Uint8Array(32),
    nodeId: 'node-a',
    signingSeed: new Uint8Array(32).fill(1),
    clock,
    crypto,
    random: () => 0.5,
    counters: new Counters(),
    emit: (event) => void events.push(event),
    intervalMs: 10_000,
    suite: 'alignment',
    samples: 50,
  });
}

const refuse =
  (status: number, code: string, details: object = {}) =>
  () =>
    Response.json({ code, title: code, ...details }, { status });

async function during(seconds: number, one = emitter()): Promise<void> {
  const stop = new AbortController();
  const run = one.run(stop.signal);
  await clock.advance(seconds * 1000);
  stop.abort();
  await run;
}

test('a score every interval, the first at once, with growing sequence and time', async () => {
  await during(35);
  expect(posted.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
  const steps = posted.slice(1).map((one, i) => one.observed_at - posted[i]!.observed_at);
  expect(steps).toEqual([10_000, 10_000, 10_000]);
  expect(posted[0]).toMatchObject({ suite: 'alignment', samples: 50, audience: 'controller' });
});

test('the sequence goes on after a restart, also after one that was never answered', async () => {
  answers = [refuse(503, 'overloaded'), refuse(503, 'overloaded'), refuse(503, 'overloaded')];
  await during(5);
  await during(5);
  expect(posted.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
});

test('a node that lost its memory learns the sequence from the refusal', async () => {
  answers = [refuse(409, 'sequence_replayed', { last: 71 })];
  await during(5);
  expect(posted.map(({ sequence }) => sequence)).toEqual([1, 72]);
  expect(events).toMatchObject([{ event: 'score', sequence: 72 }]);
});

test('a clock that is fast is corrected by the refusal', async () => {
  clock.wallError = 600_000;
  answers = [refuse(422, 'observed_in_future', { server_time: clock.trueWall() })];
  await during(5);
  expect(posted).toHaveLength(2);
  expect(Math.abs(posted[1]!.observed_at - clock.trueWall())).toBeLessThan(6000);
});

test('observations never step back in time', async () => {
  await during(5);
  clock.wallError = -600_000;
  await during(5);
  expect(posted[1]!.observed_at).toBeGreaterThanOrEqual(posted[0]!.observed_at);
});

test('a refusal that would come again is not answered with the same again', async () => {
  answers = [refuse(422, 'unknown_suite')];
  await during(5);
  expect(posted).toHaveLength(1);
  expect(events).toMatchObject([{ event: 'score_failed', code: 'unknown_suite' }]);
});

test('a harness that fails costs its own interval only', async () => {
  let runs = 0;
  const source: ScoreSource = async () => {
    if (runs++ === 0) throw new ScoreError('timeout', 'too long');
    return { score: 0.5, samples: 7, suite: 'truth' };
  };
  await during(15, emitter(source));
  expect(events).toMatchObject([
    { event: 'score_failed', code: 'timeout' },
    { event: 'score', suite: 'truth', sequence: 1 },
  ]);
  expect(posted).toMatchObject([{ suite: 'truth', samples: 7 }]);
});

test('a slow harness is run as often as it can, not late by the sum of its runs', async () => {
  const source: ScoreSource = async (signal) => {
    await clock.sleep(4000, signal);
    return { score: 0.9 };
  };
  await during(65, emitter(source));
  expect(posted).toHaveLength(7);
});
