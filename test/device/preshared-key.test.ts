import { beforeEach, expect, test } from 'vitest';
import { PERFECT_LINK, type SimulatedNode, Simulation } from '../lab/simulation.ts';

/** Keys that are worked out when a handshake needs them. */

const HOUR = 3_600_000;
const ROTATION = { epoch: 60_000, grace: 20_000, quietPairsWait: true };

let simulation: Simulation;
let a: SimulatedNode;
let b: SimulatedNode;
let arrived: number;
/** How often a key was asked for, by generation. */
let asked: Map<number, number>;
let given: Uint8Array[];

beforeEach(() => {
  simulation = new Simulation(3);
  simulation.faults = PERFECT_LINK;
  [a, b] = [0, 1].map(() => simulation.addNode({ rotation: ROTATION, requirePsk: true })) as [
    SimulatedNode,
    SimulatedNode,
  ];
  [arrived, asked, given] = [0, new Map(), []];
  b.onPacket = () => arrived++;
});

const keyOf = (generation: number): Uint8Array => new Uint8Array(32).fill(generation);

/** At `a` the key is worked out, `b` has it. */
function tell(generation: number, more = {}): void {
  const presharedKey = () => {
    asked.set(generation, (asked.get(generation) ?? 0) + 1);
    const key = keyOf(generation);
    given.push(key);
    return key;
  };
  a.configure({ peers: [b.asPeer({ presharedKey, generation, ...more })] });
  b.configure({ peers: [a.asPeer({ presharedKey: keyOf(generation), generation })] });
}

const statusOfB = () => a.peer(b)!;

test('a pair with a key to be worked out talks, and the key is asked for once', () => {
  tell(1);
  simulation.runFor(5000);
  a.sendTo(b, new Uint8Array(16));
  simulation.runFor(HOUR / 4); // renewals, too
  expect(arrived).toBe(1);
  expect(asked.get(1)).toBe(1);
  expect(given[0]).toEqual(new Uint8Array(32)); // the device has its own copy
  expect(statusOfB().presharedKey).toEqual(keyOf(1));
});

test('a quiet pair never asks for the keys of epochs that it makes no handshake in', () => {
  tell(1);
  simulation.runFor(5000);
  for (let generation = 2; generation < 10; generation++) {
    simulation.runFor(60_000);
    tell(generation);
  }
  simulation.runFor(59_000);
  expect([...asked.keys()].filter((generation) => generation > 4)).toEqual([]);
  expect(statusOfB().isQuiet).toBe(true);
  expect(statusOfB().presharedKey).toBeUndefined(); // that of before is gone, too
  a.sendTo(b, new Uint8Array(16));
  simulation.runFor(1000);
  expect(arrived).toBe(1);
  expect(asked.get(9)).toBe(1);
  expect(statusOfB().generation).toBe(9);
});

test('whoever is removed is shut out before its key was ever worked out', () => {
  b.stop();
  tell(1);
  a.configure({ peers: [{ publicKey: b.publicKey, remove: true }] });
  b.restart();
  b.configure({ peers: [a.asPeer({ presharedKey: keyOf(1), generation: 1 })] });
  simulation.runFor(30_000);
  expect(asked.size).toBe(0);
  expect(a.drops.initiatorUnknown).toBeGreaterThan(0);
});

test('another key takes the place of one that was not worked out', () => {
  b.stop();
  tell(1);
  b.restart();
  tell(2);
  simulation.runFor(5000);
  expect(statusOfB().generation).toBe(2);
  expect([...asked.keys()]).toEqual([2]);
});
