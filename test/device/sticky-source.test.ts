import { beforeEach, expect, test } from 'vitest';
import type { Endpoint } from '../../src/wire/endpoint.ts';
import { connect, type SimulatedNode, Simulation } from '../lab/simulation.ts';

/** A peer is answered from the address that it spoke to, for as long as answers come that way. */

const ADDRESS = Uint8Array.of(10, 1, 0, 2);

let simulation: Simulation;
let a: SimulatedNode;
let b: SimulatedNode;
/** For each initiation of `a`: whether it left from a given address. */
let fromSource: boolean[];

beforeEach(() => {
  simulation = new Simulation(8);
  [a, b] = [simulation.addNode(), simulation.addNode()];
  fromSource = [];
  a.onSent = (datagram, endpoint) => {
    if (datagram[0] === 1) fromSource.push(endpoint.source !== undefined);
  };
});

const reached = (): Endpoint => ({ ...b.endpoint, source: ADDRESS, sourceInterface: 7 });
const sourceAtA = () => a.core.device.peerStatus()[0]!.endpoint!.source;

test('an initiation that is tried again leaves from whatever address the route has now', () => {
  b.stop();
  a.configure({ peers: [{ ...b.asPeer(), endpoint: reached() }] });
  a.sendTo(b, Uint8Array.of(1));
  simulation.runFor(20_000);
  expect(fromSource.slice(0, 3)).toEqual([true, false, false]);
  expect(sourceAtA()).toBeUndefined();
});

test('where routes have changed, only the addresses of ways that are no more are forgotten', () => {
  connect(a, b);
  a.configure({ peers: [{ publicKey: b.publicKey, endpoint: reached() }] });
  a.core.device.forgetSources(({ sourceInterface }) => sourceInterface !== 7);
  expect(sourceAtA()).toEqual(ADDRESS);
  a.core.device.forgetSources(({ sourceInterface }) => sourceInterface === 7);
  expect(sourceAtA()).toBeUndefined();
  expect(a.core.device.peerStatus()[0]!.endpoint).toEqual(b.endpoint);
});
