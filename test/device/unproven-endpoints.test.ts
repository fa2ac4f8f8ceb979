import { beforeEach, expect, test } from 'vitest';
import { Tap } from '../lab/inspect.ts';
import { connect, type SimulatedNode, Simulation } from '../lab/simulation.ts';

/** In a governed mesh an endpoint is a claim: whoever is there need not want what is sent to it. */

const EPOCH = 60_000;
const MINUTE = 60_000;

let simulation: Simulation;
let a: SimulatedNode;
let b: SimulatedNode;
let tap: Tap;

beforeEach(() => {
  simulation = new Simulation(8);
  [a, b] = [simulation.addNode(), simulation.addNode()];
  tap = new Tap(simulation);
});

const psk = (generation: number) => new Uint8Array(32).fill(generation);
const rotate = (generation: number) =>
  a.configure({ peers: [{ publicKey: b.publicKey, presharedKey: psk(generation), generation }] });

test('an endpoint that never answers gets a few initiations, then one a minute, whatever happens', () => {
  b.stop();
  a.configure({ peers: [b.asPeer({ presharedKey: psk(1), generation: 1 })] });
  simulation.runFor(MINUTE);
  expect(tap.of('initiation').length).toBeLessThanOrEqual(12);
  expect(tap.of('initiation').filter(({ at }) => at < 6000).length).toBeGreaterThanOrEqual(5);
  tap.clear();
  for (let generation = 2; generation <= 11; generation++) {
    rotate(generation);
    for (let i = 0; i < EPOCH / 1000; i++) {
      a.sendTo(b, Uint8Array.of(1));
      simulation.runFor(1000);
    }
  }
  expect(tap.of('initiation').length).toBeLessThanOrEqual(10);
  expect(tap.of('initiation').length).toBeGreaterThanOrEqual(9);
});

test('the same endpoint again changes nothing, another one is tried as any other', () => {
  b.stop();
  const peer = b.asPeer({ presharedKey: psk(1), generation: 1 });
  a.configure({ peers: [peer] });
  simulation.runFor(5 * MINUTE);
  tap.clear();
  a.configure({ peers: [peer] });
  rotate(2);
  simulation.runFor(MINUTE);
  expect(tap.of('initiation').length).toBeLessThanOrEqual(1);
  a.configure({ peers: [{ ...b.asPeer(), endpoint: { ...b.endpoint, port: 9 } }] });
  rotate(3);
  simulation.runFor(6000);
  expect(tap.of('initiation').length).toBeGreaterThanOrEqual(5);
});

test('a peer that was heard at its endpoint once is tried as ever when it is gone for a while', () => {
  connect(a, b, { presharedKey: psk(1), generation: 1 });
  simulation.runFor(2000);
  b.stop();
  simulation.runFor(5 * MINUTE);
  tap.clear();
  rotate(2);
  simulation.runFor(MINUTE);
  expect(tap.of('initiation', a).length).toBeGreaterThanOrEqual(12);
});

test('where no controller is, the operator named the endpoint', () => {
  b.stop();
  a.configure({ peers: [b.asPeer()] });
  for (let i = 0; i < 300; i++) {
    a.sendTo(b, Uint8Array.of(1));
    simulation.runFor(1000);
  }
  expect(tap.of('initiation').length).toBeGreaterThan(40);
});
