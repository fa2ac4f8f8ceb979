import { expect, test } from 'vitest';
import { CallReports } from '../../src/agent/call-reports.ts';
import { CallError } from '../../src/agent/controller-answer.ts';
import { Counters } from '../../src/agent/counters.ts';
import type { AgentEvent } from '../../src/agent/events.ts';
import { ReachReporter, reachedOthers } from '../../src/agent/reach-reporter.ts';
import type { PeerView, ProbeView } from '../../src/agent/status.ts';
import { type Envelope, PAYLOAD_TYPES, readEnvelope } from '../../src/contract/envelope.ts';
import { type ReachDocument, reachSchema } from '../../src/contract/reach.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { SimClock } from '../lab/agent-clock.ts';

const peer = (node_id: string, fields: Partial<PeerView> = {}): PeerView => ({
  node_id,
  tunnel_address: '10.10.0.2',
  endpoint: '192.0.2.1:51820',
  path: '192.0.2.1:51820',
  generation: 3,
  quiet: false,
  handshake_age_s: 12.7,
  rx_bytes: 0,
  tx_bytes: 0,
  ...fields,
});
const probe = (node_id: string, fields: Partial<ProbeView> = {}): ProbeView => ({
  node_id,
  tunnel_address: '10.10.0.2',
  ok: true,
  rtt_ms: 0.42,
  error: null,
  age_s: 4.2,
  sent: 1,
  received: 1,
  ...fields,
});
const silent = { ok: false, rtt_ms: null };

/** A reporter in simulated time; `answer` is the controller. */
function reporter(
  status: () => { peers: PeerView[]; probes: ProbeView[] },
  answer = () => {},
  protocol = 2,
) {
  const clock = new SimClock();
  const told: { at: number; document: ReachDocument }[] = [];
  const events: AgentEvent[] = [];
  const stop = new AbortController();
  const take = (envelope: Envelope) => {
    const read = readEnvelope(envelope, PAYLOAD_TYPES.reach, reachSchema);
    if (!read.ok) throw new Error(JSON.stringify(read.problem));
    return read.value.document;
  };
  const ended = new ReachReporter({
    client: {
      protocol,
      controllerTime: () => clock.trueWall(),
      putReach: async (_node, envelope) => {
        told.push({ at: clock.monotonic(), document: take(envelope) });
        answer();
      },
    },
    identity: { nodeId: 'a', meshId: new Uint8Array(32) },
    signingSeed: new Uint8Array(32).fill(1),
    status,
    crypto: defaultProvider(),
    clock,
    random: () => 0.5,
    calls: new CallReports(new Counters(), (event) => events.push(event)),
    intervalMs: 15_000,
  }).run(stop.signal);
  return { clock, told, events, stop, ended };
}

test('a node tells what it has of others, soon and then every round, as the controller takes it', async () => {
  const run = reporter(() => ({
    peers: [peer('b'), peer('c', { handshake_age_s: null })],
    probes: [probe('b'), probe('d', silent), probe('e', { ...silent, error: 'no socket' })],
  }));
  await run.clock.advance(60_000);
  expect(run.told.map(({ at }) => at - run.told[0]!.at)).toEqual([0, 15_000, 30_000, 45_000]);
  const { node_id, reported_at, others } = run.told.at(-1)!.document;
  expect([node_id, reported_at]).toEqual(['a', run.clock.trueWall() - 10_000]);
  const none = { echo_age_s: null, rtt_ms: null, handshake_age_s: null, path: null };
  const path = '192.0.2.1:51820';
  expect(others.toSorted((x, y) => (x.node_id < y.node_id ? -1 : 1))).toEqual([
    { node_id: 'b', echo: 'answered', echo_age_s: 4, rtt_ms: 0.42, handshake_age_s: 12, path },
    { ...none, node_id: 'c', echo: 'not_asked' },
    { ...none, node_id: 'd', echo: 'unanswered', echo_age_s: 4 },
    { ...none, node_id: 'e', echo: 'not_asked' },
  ]);
  run.stop.abort();
  await run.ended;
});

test('members that do not answer are told of first, however many there are', () => {
  const many = Array.from({ length: 200 }, (_, i) => `n${i}`);
  const probes = many.map((id, i) => probe(id, { age_s: i, ...(i === 150 ? silent : {}) }));
  const others = reachedOthers(
    many.map((id) => peer(id)),
    probes,
    8,
  );
  expect(others.map(({ node_id }) => node_id)).toEqual(['n150', ...many.slice(0, 7)]);
});

test('an address that means something on one machine only is told without that', () => {
  const [told] = reachedOthers([peer('b', { endpoint: '[fe80::1%3]:51820' })], [], 8);
  expect(told!.path).toBe('[fe80::1]:51820');
});

test('in a large mesh a node tells of few, and seldom: the controller hears the same from all', async () => {
  const many = Array.from({ length: 6400 }, (_, i) => peer(`n${i}`));
  const run = reporter(() => ({ peers: many, probes: [] }));
  await run.clock.advance(210_000);
  expect(run.told.map(({ at }) => at - run.told[0]!.at)).toEqual([0, 100_000, 200_000]);
  expect(run.told[0]!.document.others).toHaveLength(8);
  run.stop.abort();
  await run.ended;
});

test('a controller that is away is told later, and one that has no ear for it is left alone', async () => {
  let failures = 2;
  const away = reporter(
    () => ({ peers: [peer('b')], probes: [] }),
    () => {
      if (failures-- > 0) throw new CallError(0, 'unreachable', 'away');
    },
  );
  await away.clock.advance(40_000);
  expect(away.told).toHaveLength(3);
  expect(away.events.map((event) => event.event === 'controller' && event.ok)).toEqual([
    false,
    true,
  ]);
  away.stop.abort();
  await away.ended;

  const deaf = reporter(
    () => ({ peers: [peer('b')], probes: [] }),
    () => {
      throw new CallError(404, 'not_found', 'There is nothing at this path');
    },
  );
  await deaf.clock.advance(100_000);
  await deaf.ended;
  expect(deaf.told).toHaveLength(1);

  const first = reporter(() => ({ peers: [peer('b')], probes: [] }), undefined, 1);
  await first.clock.advance(100_000);
  expect(first.told).toHaveLength(0);
  first.stop.abort();
  await first.ended;
});
