import { beforeEach, expect, test } from 'vitest';
import { Ledger } from '../lab/ledger.ts';
import { connect, type SimulatedNode, Simulation } from '../lab/simulation.ts';

/** Initiations carry a date, and a responder takes none that is not later than the last one. */

const DAY = 86_400_000;

let simulation: Simulation;
let a: SimulatedNode;
let b: SimulatedNode;
let ledger: Ledger;

beforeEach(() => {
  simulation = new Simulation(6);
  [a, b] = [simulation.addNode(), simulation.addNode()];
  ledger = new Ledger(simulation);
  connect(a, b);
  ledger.send(a, b);
  simulation.runFor(1000);
});

const wallOf = (node: SimulatedNode) => 1_700_000_000_000 + simulation.now + node.clockSkew;

/** a boots again a day behind, and only it knows how to reach the other one. */
function bootBehind(earliestTime?: number): number {
  a.clockSkew = -DAY;
  a.restart();
  a.configure({ peers: [b.asPeer()], ...(earliestTime === undefined ? {} : { earliestTime }) });
  const before = ledger.deliveredCount(a, b);
  ledger.send(a, b);
  simulation.runFor(3000);
  return ledger.deliveredCount(a, b) - before;
}

test('a node whose clock is a day behind is not answered', () => {
  expect(bootBehind()).toBe(0);
  expect(b.drops.timestampReplayed).toBeGreaterThan(0);
});

test('unless it knows the time of somebody else', () => {
  expect(bootBehind(wallOf(b))).toBe(1);
});

test('or kept the latest date that it used', () => {
  expect(bootBehind(a.core.device.handshakesDatedUntil! + 1000)).toBe(1);
});

test('dates follow the later of the two clocks and never go back', () => {
  const dated = () => a.core.device.handshakesDatedUntil! - wallOf(b);
  expect(Math.abs(dated())).toBeLessThan(2000);
  a.configure({ earliestTime: wallOf(b) + 5000 });
  a.configure({ earliestTime: 1 });
  simulation.runFor(10_000);
  a.core.device.handshakeWanted(0, a.clock);
  expect(Math.abs(dated() - 5000)).toBeLessThan(50);
});

test('no time is refused that could stand in a date, any other one is', () => {
  for (const earliestTime of [-1, 1.5, Number.NaN, 253_402_300_800_000]) {
    expect(() => a.configure({ earliestTime })).toThrow(/^earliestTime: /);
  }
});
