import { expect, test } from 'vitest';
import { Counters } from '../../src/agent/counters.ts';
import type { AgentEvent } from '../../src/agent/events.ts';
import { MOST_AT_ONCE, MOST_AT_ONCE_OF_MANY, Probe } from '../../src/agent/probe.ts';
import type { RosterEntry } from '../../src/contract/config.ts';
import { SimClock } from '../lab/agent-clock.ts';

const entry = (node_id: string, allowed: boolean): RosterEntry => ({
  node_id,
  tunnel_address: `10.10.0.${node_id.charCodeAt(0)}`,
  allowed,
});

test('every known node is asked, denied ones too, and failures are logged', async () => {
  const clock = new SimClock();
  const events: AgentEvent[] = [];
  let roster = [entry('a', true), entry('c', false)];
  const asked: string[] = [];
  const counters = new Counters();
  const probe = new Probe({
    ping: async (address) => {
      asked.push(address);
      if (address === '10.10.0.98') throw new Error('ENETDOWN: the interface is down');
      return address === '10.10.0.97' ? 1.5 : undefined;
    },
    roster: () => roster,
    clock,
    random: () => 0.5,
    counters,
    emit: (event) => void events.push(event),
    intervalMs: 15_000,
  });
  const stop = new AbortController();
  const run = probe.run(stop.signal);
  await clock.advance(31_000);
  expect(asked).toHaveLength(6);
  expect(events.slice(0, 2)).toMatchObject([
    { node: 'a', ok: true, rtt_ms: 1.5, allowed: true },
    { node: 'c', ok: false, rtt_ms: null, allowed: false },
  ]);
  expect(probe.results()).toMatchObject([
    { node: 'a', sent: 3, received: 3 },
    { node: 'c', sent: 3, received: 0 },
  ]);
  roster = [entry('b', true)];
  await clock.advance(15_000);
  // What could not be asked is no word about the other end.
  const error = 'ENETDOWN: the interface is down';
  expect(probe.results()).toMatchObject([{ node: 'b', ok: false, error, sent: 0, received: 0 }]);
  expect(events.at(-1)).toMatchObject({ event: 'probe', node: 'b', ok: false, error });
  expect(counters.snapshot()).toMatchObject({
    probes_answered: 3,
    probes_unanswered: 3,
    probes_failed: 1,
  });
  stop.abort();
  await run;
});

test('in a larger mesh each node has its turn: a round keeps few pairs awake, and who is new comes first', async () => {
  const clock = new SimClock();
  let roster = Array.from({ length: 3 * MOST_AT_ONCE + 5 }, (_, i) => ({
    node_id: `n${i}`,
    tunnel_address: `10.10.0.${i}`,
    allowed: true,
  }));
  let asked: string[] = [];
  const probe = new Probe({
    ping: async (address) => {
      asked.push(address);
      return 1;
    },
    roster: () => roster,
    clock,
    random: () => 0.999,
    counters: new Counters(),
    emit: () => {},
    intervalMs: 15_000,
  });
  const round = async () => {
    asked = [];
    await probe.round();
    return asked;
  };
  const first = await round();
  expect(first).toHaveLength(MOST_AT_ONCE);
  expect(first[0]).not.toBe('10.10.0.0'); // nodes do not all begin with the same one
  const pass = [...first, ...(await round()), ...(await round())];
  expect(new Set(pass).size).toBe(3 * MOST_AT_ONCE);
  const last = await round();
  expect(last).toHaveLength(MOST_AT_ONCE);
  expect(new Set([...pass, ...last]).size).toBe(roster.length);
  expect(last.filter((address) => pass.includes(address))).toEqual(first.slice(0, -5));
  roster = [{ node_id: 'new', tunnel_address: '10.10.1.1', allowed: true }, ...roster.slice(1)];
  const next = await round();
  expect(next).toContain('10.10.1.1');
  expect(probe.results()).toHaveLength(roster.length);
  expect(probe.results().map(({ node }) => node)).not.toContain('n0');
  roster = Array.from({ length: 1000 }, (_, i) => ({
    node_id: `m${i}`,
    tunnel_address: `10.10.${i >> 8}.${i & 0xff}`,
    allowed: true,
  }));
  expect(await round()).toHaveLength(MOST_AT_ONCE_OF_MANY);
  expect(probe.results()).toHaveLength(MOST_AT_ONCE_OF_MANY);
});
