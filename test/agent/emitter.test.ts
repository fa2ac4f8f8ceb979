import { beforeEach, expect, test } from 'vitest';
import { ControllerClient } from '../../src/agent/controller-client.ts';
import { Counters } from '../../src/agent/counters.ts';
import { Emitter } from '../../src/agent/emitter.ts';
import type { AgentEvent } from '../../src/agent/events.ts';
import type { NodeState } from '../../src/agent/node-state.ts';
import { type Measurement, ScoreError, type ScoreSource } from '../../src/agent/score-source.ts';
import type { BenchmarkDocument } from '../../src/contract/benchmark.ts';
import { toBase64 } from '../../src/contract/encoding.ts';
import type { Envelope } from '../../src/contract/envelope.ts';
import { controllerFingerprint } from '../../src/contract/ids.ts';
import { envelopeHash, signReceipt } from '../../src/contract/receipt.ts';
import { SimClock } from '../lab/agent-clock.ts';
import { memoryState } from '../lab/memory-state.ts';
import { crypto } from './support/rig.ts';

let clock: SimClock;
const controller = new Uint8Array(32).fill(9);
const meshId = controllerFingerprint(crypto, crypto.ed25519Public(controller));
let state: NodeState;
/** Every document that was posted, and what is answered to the next ones. */
let posted: BenchmarkDocument[];
let answers: ((envelope: Envelope) => Response)[];
let events: AgentEvent[];

beforeEach(() => {
  clock = new SimClock();
  state = memoryState();
  posted = [];
  answers = [];
  events = [];
});

function emitter(
  source: ScoreSource = async () => ({ score: 0.9 }),
  samples?: number,
  protocol = 1,
) {
  const client = new ControllerClient({
    fetch: async (_url, init) => {
      const envelope = JSON.parse(String(init.body)) as Envelope;
      posted.push(JSON.parse(Buffer.from(envelope.payload, 'base64').toString()));
      const answer = answers.shift();
      return answer?.(envelope) ?? Response.json(receipt(envelope, 'accepted'), { status: 202 });
    },
    clock,
    crypto,
    random: (length) => new Uint8Array(length),
    url: 'http://controller.test',
    timeoutMs: 5000,
  });
  client.belongTo(meshId);
  client.learnProtocol(protocol);
  return new Emitter({
    client,
    source,
    state: state,
    meshId,
    nodeId: 'node-a',
    signingSeed: new Uint8Array(32).fill(1),
    clock,
    crypto,
    random: () => 0.5,
    counters: new Counters(),
    emit: (event) => void events.push(event),
    intervalMs: 10_000,
    suite: 'alignment',
    ...(samples === undefined ? {} : { samples }),
  });
}

/** What the controller signs about a score, or `seed` in its place. */
function receipt(envelope: Envelope, code: string, last: number | null = null, seed = controller) {
  return signReceipt(crypto, seed, {
    mesh_id: toBase64(meshId),
    request: toBase64(envelopeHash(crypto, envelope)),
    code,
    last,
    server_time: clock.trueWall(),
  });
}

/** `signed`: what is in the answer besides the plain, unsigned words. */
const refuse =
  (status: number, code: string, plain: object = {}, signed?: (envelope: Envelope) => object) =>
  (envelope: Envelope) =>
    Response.json({ code, title: code, ...plain, ...signed?.(envelope) }, { status });

async function during(seconds: number, one = emitter()): Promise<void> {
  const stop = new AbortController();
  const run = one.run(stop.signal);
  await clock.advance(seconds * 1000);
  stop.abort();
  await run;
}

test('a score every interval, the first at once, with growing sequence and time', async () => {
  await during(35, emitter(undefined, 50));
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
  answers = [refuse(409, 'sequence_replayed', {}, (one) => receipt(one, 'sequence_replayed', 71))];
  await during(5);
  expect(posted.map(({ sequence }) => sequence)).toEqual([1, 72]);
  expect(events).toMatchObject([{ event: 'score', sequence: 72 }]);
});

test('a sequence that is too far ahead is taken back, so that a reset at the controller mends it', async () => {
  await state.changeEmitter(() => ({ sequences: { alignment: 9e15 }, observed_at: 0 }));
  answers = [refuse(409, 'sequence_too_far', {}, (one) => receipt(one, 'sequence_too_far', 0))];
  await during(5);
  expect(posted.map(({ sequence }) => sequence)).toEqual([9e15 + 1, 1]);
});

test.each([
  ['not signed at all', () => ({})],
  [
    'signed by somebody else',
    (one: Envelope) => receipt(one, 'sequence_replayed', 9e15, new Uint8Array(32).fill(3)),
  ],
  [
    'signed about another score',
    (one: Envelope) =>
      receipt({ ...one, payload: toBase64(Buffer.from('{}')) }, 'sequence_replayed', 9e15),
  ],
])('a sequence in an answer that is %s is kept nowhere', async (_what, signed) => {
  answers = [refuse(409, 'sequence_replayed', { last: 9e15 }, signed)];
  await during(15);
  expect(posted.map(({ sequence }) => sequence)).toEqual([1, 2]);
  expect(state.readEmitter().sequences).toEqual({ alignment: 2 });
});

test('a clock that is fast is corrected by what the controller signed', async () => {
  clock.wallError = 600_000;
  const signed = (one: Envelope) => receipt(one, 'observed_in_future');
  answers = [refuse(422, 'observed_in_future', {}, signed)];
  await during(5);
  expect(posted).toHaveLength(2);
  expect(Math.abs(posted[1]!.observed_at - clock.trueWall())).toBeLessThan(6000);
});

test('a time that nobody signed dates nothing', async () => {
  answers = [refuse(422, 'observed_in_future', { server_time: clock.trueWall() + 9e9 })];
  await during(15);
  for (const one of posted) expect(one.observed_at).toBeLessThanOrEqual(clock.trueWall());
});

test('once the controller has signed a time, the wall clock is asked no more', async () => {
  const one = emitter();
  await during(5, one);
  clock.wallError = 86_400_000;
  await during(25, one);
  expect(posted).toHaveLength(4);
  for (const one of posted) expect(one.observed_at).toBeLessThanOrEqual(clock.trueWall());
});

test.each([
  ['a captive portal', () => new Response('<html>welcome</html>', { status: 200 })],
  ['an empty answer', () => new Response(null, { status: 204 })],
  ['some JSON', () => Response.json({ ok: true }, { status: 202 })],
  [
    'the receipt of another score',
    (one: Envelope) =>
      Response.json(receipt({ ...one, payload: toBase64(Buffer.from('{}')) }, 'accepted')),
  ],
])('%s that says 2xx has accepted nothing', async (_what, answer) => {
  answers = [answer, answer, answer];
  await during(5);
  expect(events).toMatchObject([{ event: 'score_failed', code: 'unexpected_answer' }]);
});

/** What a controller of protocol 1 says. */
const withoutReceipt = () => {
  const { suite, sequence } = posted.at(-1)!;
  const body = { node_id: 'node-a', suite, sequence, received_at: clock.trueWall() };
  return Response.json(body, { status: 202 });
};

test('a controller of protocol 1 is taken at its word', async () => {
  answers = [withoutReceipt];
  await during(5);
  expect(events).toMatchObject([{ event: 'score', sequence: 1 }]);
});

test('a controller that has signed that it speaks protocol 2 is not: it signs receipts', async () => {
  answers = [withoutReceipt, withoutReceipt, withoutReceipt];
  await during(5, emitter(undefined, undefined, 2));
  expect(events).toMatchObject([{ event: 'score_failed', code: 'unexpected_answer' }]);
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

test('a result that the harness has dated carries that date and is reported once', async () => {
  const observedAt = clock.trueWall() - 60_000;
  const source: ScoreSource = async () => ({ score: 0.9, observedAt });
  await during(35, emitter(source));
  expect(posted).toMatchObject([{ observed_at: observedAt }]);
  await during(35, emitter(source)); // nor again after a restart
  expect(posted).toHaveLength(1);
});

test('a dated result that was not delivered is reported again', async () => {
  const observedAt = clock.trueWall() - 60_000;
  answers = [refuse(503, 'overloaded'), refuse(503, 'overloaded'), refuse(503, 'overloaded')];
  await during(
    25,
    emitter(async () => ({ score: 0.9, observedAt })),
  );
  expect(posted.map((one) => one.observed_at)).toEqual(Array(4).fill(observedAt));
});

test('a result of the future is no score', async () => {
  const observedAt = clock.trueWall() + 600_000;
  await during(
    5,
    emitter(async () => ({ score: 0.9, observedAt })),
  );
  expect(posted).toEqual([]);
  expect(events).toMatchObject([{ event: 'score_failed', code: 'observed_in_future' }]);
});

test('a score of which nobody says how many samples it has claims one', async () => {
  await during(5, emitter());
  expect(posted).toMatchObject([{ samples: 1 }]);
});

test('what is known of a suite: the last score, its age, and what went wrong since', async () => {
  let result: () => Promise<Measurement | null> = async () => null;
  const one = emitter(() => result());
  const once = () => one.once(new AbortController().signal);
  await once();
  expect(one.progress()).toMatchObject({ score: null, ageMs: null, failure: null });
  result = async () => ({ score: 0.8, observedAt: clock.wall() - 4000 });
  await once();
  expect(one.progress()).toMatchObject({ suite: 'alignment', score: 0.8, ageMs: 4000 });
  result = async () => Promise.reject(new ScoreError('exit_status', 'status 3'));
  await once();
  expect(one.progress()).toMatchObject({ score: 0.8, failure: 'exit_status', runningMs: null });
  expect(events.at(-1)).toMatchObject({ event: 'score_failed', suite: 'alignment' });
});
