import { expect, test } from 'vitest';
import { CallError, problemOf } from '../../src/agent/controller-answer.ts';
import type { Whereabouts } from '../../src/agent/controller-client.ts';
import { EndpointAnnouncer } from '../../src/agent/endpoint-announcer.ts';
import type { AgentEvent } from '../../src/agent/events.ts';
import type { EndpointAnswer } from '../../src/contract/endpoint.ts';
import { SimClock } from '../lab/agent-clock.ts';

const OFFER = { candidates: ['10.0.0.2:5000'], seenPort: 5000 };

/** An announcer in simulated time: `answer` is the controller. */
function announcer(where: () => Whereabouts, answer: () => EndpointAnswer, told?: string) {
  const clock = new SimClock();
  const asked: Whereabouts[] = [];
  const events: AgentEvent[] = [];
  const remembered: (string | null)[] = [];
  const one = new EndpointAnnouncer({
    client: {
      putEndpoint: async (_node, _seed, what) => {
        asked.push(what);
        return answer();
      },
    },
    nodeId: 'a',
    signingSeed: new Uint8Array(32),
    clock,
    random: () => 0.5,
    emit: (event) => events.push(event),
    where: async () => where(),
    told,
    remember: async (value) => void remembered.push(value),
  });
  const stop = new AbortController();
  const ended = one.run(stop.signal);
  return { one, clock, asked, events, remembered, stop, ended };
}

const taken = (...candidates: string[]): EndpointAnswer => ({
  node_id: 'a',
  endpoint: '10.0.0.2:5000',
  candidates,
});

test('places are offered at the start, when they change, and again for the controller to look', async () => {
  let where = OFFER;
  let seen = '198.51.100.7:5000';
  const run = announcer(
    () => where,
    () => taken(seen),
  );
  await run.clock.advance(60_000);
  expect(run.asked).toEqual([OFFER]);
  expect(run.one.places).toEqual(['10.0.0.2:5000', '198.51.100.7:5000']);
  seen = '198.51.100.8:5000'; // the line came up with another address, which only others see
  await run.clock.advance(300_000);
  expect(run.one.places).toContain('198.51.100.8:5000');
  where = { ...OFFER, candidates: ['10.0.0.3:5000'] };
  await run.clock.advance(20_000);
  expect(run.asked.at(-1)).toEqual(where);
  expect(run.events.map((event) => event.event === 'endpoint' && event.candidates)).toEqual([
    ['198.51.100.7:5000'],
    ['198.51.100.8:5000'],
  ]);
  run.stop.abort();
  await run.ended;
});

test('a place that was named is told when it is another one, and not again', async () => {
  const told = '192.0.2.1:5000';
  let where = told;
  const answer = () => ({ node_id: 'a', endpoint: where });
  const run = announcer(() => where, answer, told);
  await run.clock.advance(600_000);
  expect(run.asked).toEqual([]);
  expect(run.one.places).toEqual([told]);
  where = '192.0.2.2:5000';
  await run.clock.advance(600_000);
  expect(run.asked).toEqual([where]);
  expect(run.remembered).toEqual([where]);
  run.stop.abort();
  await run.ended;
});

test('a controller that cannot be asked is asked again, and the same failure said once', async () => {
  let failures = 5;
  const run = announcer(
    () => OFFER,
    () => {
      if (failures-- > 0) throw new CallError(0, 'unreachable', 'away');
      return taken();
    },
  );
  await run.clock.advance(120_000);
  expect(run.events.map((event) => event.event === 'endpoint' && event.ok)).toEqual([false, true]);
  expect(run.asked).toHaveLength(6);
  run.stop.abort();
  await run.ended;
});

test('a refusal says what was expected, where it has nothing more to say', async () => {
  const said = async (problem: object) =>
    (await problemOf(new Response(JSON.stringify(problem), { status: 401 }))).message;
  const title = 'The request signature does not verify';
  const expected = 'a signature over authority mesh.example and path /v1/config/a';
  expect(await said({ code: 'signature_invalid', title, expected })).toContain(
    `${title}: expected ${expected}`,
  );
  expect(await said({ code: 'signature_invalid', title, expected, detail: 'why' })).toContain(
    `${title}: why`,
  );
});
