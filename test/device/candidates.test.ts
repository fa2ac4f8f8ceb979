import { beforeEach, expect, test } from 'vitest';
import { formatEndpoint, parseEndpoint } from '../../src/wire/address-text.ts';
import type { Endpoint } from '../../src/wire/endpoint.ts';
import { type SimulatedNode, Simulation } from '../lab/simulation.ts';

/** A peer may be in one of several places; which one is found out by asking there. */

const MINUTE = 60_000;
const at = (text: string): Endpoint => parseEndpoint(text)!;
const [ELSEWHERE, NOWHERE] = [at('198.51.100.1:1'), at('198.51.100.2:2')];

let simulation: Simulation;
let a: SimulatedNode;
let b: SimulatedNode;
/** Where a sent its handshake messages, and when. */
let asked: { readonly to: string; readonly at: number }[];
/** Where a sent its packets. */
let packetsTo: Set<string>;

beforeEach(() => {
  simulation = new Simulation(5);
  [a, b] = [simulation.addNode(), simulation.addNode()];
  asked = [];
  packetsTo = new Set();
  a.onSent = (datagram, to) => {
    if (datagram[0] === 4) packetsTo.add(formatEndpoint(to));
    else asked.push({ to: formatEndpoint(to), at: simulation.now });
  };
});

const psk = (generation: number) => new Uint8Array(32).fill(generation);
const governed = (generation: number) => ({ presharedKey: psk(generation), generation });

/** a is told of b at `places`, the first of which is its endpoint; b of nobody's endpoint. */
function told(places: readonly Endpoint[], generation = 1): void {
  const { endpoint: _, ...peer } = a.asPeer(governed(generation));
  a.configure({
    peers: [b.asPeer({ ...governed(generation), endpoint: places[0]!, candidates: places })],
  });
  b.configure({ peers: [peer] });
}

const endpointOfB = (): string => formatEndpoint(a.peer(b)!.endpoint!);
const isConnected = (): boolean => a.peer(b)!.lastHandshakeAt !== undefined;
const ofB = () => formatEndpoint(b.endpoint);

test('the place that answers is found, and packets go nowhere else', () => {
  told([ELSEWHERE, NOWHERE, b.endpoint]);
  simulation.runFor(5000);
  expect(isConnected()).toBe(true);
  expect(endpointOfB()).toBe(ofB());
  a.sendTo(b, Uint8Array.of(1));
  simulation.runFor(1000);
  expect(packetsTo).toEqual(new Set([ofB()]));
});

test('all places together get as many initiations as one place alone, also if none answers', () => {
  b.stop();
  told([ELSEWHERE, NOWHERE, b.endpoint, at('198.51.100.3:3')]);
  simulation.runFor(MINUTE);
  expect(asked.length).toBeLessThanOrEqual(12);
  expect(new Set(asked.map(({ to }) => to)).size).toBe(4);
  asked = [];
  for (let second = 0; second < 600; second++) {
    a.sendTo(b, Uint8Array.of(1));
    simulation.runFor(1000);
  }
  expect(asked.length).toBeLessThanOrEqual(11);
});

test('a session stays where it is, whatever further places are named', () => {
  told([b.endpoint]);
  simulation.runFor(5000);
  asked = [];
  told([ELSEWHERE, b.endpoint, NOWHERE], 2);
  for (let second = 0; second < 30; second++) {
    a.sendTo(b, Uint8Array.of(1));
    simulation.runFor(1000);
  }
  expect(endpointOfB()).toBe(ofB());
  expect(packetsTo).toEqual(new Set([ofB()]));
  expect(new Set(asked.map(({ to }) => to))).toEqual(new Set([ofB()]));
});

test('a peer that does not answer any more is asked elsewhere as well, and packets follow the answer', () => {
  const before = b.endpoint;
  const moved = { ...b.endpoint, port: 4444 };
  told([before, moved]);
  simulation.runFor(5000);
  expect(endpointOfB()).toBe(formatEndpoint(before));
  b.endpoint = moved;
  told([before, moved], 2);
  a.sendTo(b, Uint8Array.of(1));
  simulation.runFor(10_000);
  expect(endpointOfB()).toBe(formatEndpoint(moved));
  packetsTo.clear();
  a.sendTo(b, Uint8Array.of(1));
  simulation.runFor(1000);
  expect(packetsTo).toEqual(new Set([formatEndpoint(moved)]));
});

test('a place that is named beside that of a session, and never answers, is asked once a minute', () => {
  told([b.endpoint, ELSEWHERE]);
  simulation.runFor(5000);
  b.stop();
  asked = [];
  const began = simulation.now;
  for (let minute = 1; minute <= 10; minute++) {
    a.configure({ peers: [{ publicKey: b.publicKey, ...governed(minute + 1) }] });
    for (let second = 0; second < 60; second++) {
      a.sendTo(b, Uint8Array.of(1));
      simulation.runFor(1000);
    }
  }
  const elsewhere = asked.filter(({ to }) => to === formatEndpoint(ELSEWHERE));
  expect(elsewhere.filter((one) => one.at - began < 30_000).length).toBeGreaterThan(2);
  expect(elsewhere.filter((one) => one.at - began > 2 * MINUTE).length).toBeLessThanOrEqual(9);
});

test('a place inside the tunnel is passed over', () => {
  const inside = at('10.0.0.2:51820'); // b's own address there
  told([inside, ELSEWHERE, b.endpoint]);
  simulation.runFor(5000);
  expect(isConnected()).toBe(true);
  expect(asked.map(({ to }) => to)).not.toContain('10.0.0.2:51820');
});

test("a configuration that names what is nobody's place is refused as a whole", () => {
  const candidates = [b.endpoint, at('224.0.0.1:1')];
  expect(() => a.configure({ peers: [b.asPeer({ candidates })] })).toThrow(
    /^peers\[0\]\.candidates\[1\]: /,
  );
  expect(a.peer(b)).toBeUndefined();
});
