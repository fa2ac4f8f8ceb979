import { beforeEach, describe, expect, test } from 'vitest';
import type { PeerChange } from '../../src/device/config.ts';
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

const askedFor = (generation: number) => () => {
  asked.set(generation, (asked.get(generation) ?? 0) + 1);
  const key = keyOf(generation);
  given.push(key);
  return key;
};

/** At `a` the key is worked out, `b` has it. */
type Tell = (generation: number) => void;

const tellB = (generation: number): void =>
  b.configure({ peers: [a.asPeer({ presharedKey: keyOf(generation), generation })] });

const tellPeer: Tell = (generation) => {
  a.configure({ peers: [b.asPeer({ presharedKey: askedFor(generation), generation })] });
  tellB(generation);
};

/** The peer is named once; what comes then is one change for all. */
const tellEpoch: Tell = (generation) => {
  const epoch = { generation, presharedKeyOf: askedFor(generation) };
  a.configure({ epoch, peers: a.peer(b) ? [] : [b.asPeer({ generation })] });
  tellB(generation);
};

const statusOfB = () => a.peer(b)!;

describe.each([
  ['a key of its own', tellPeer],
  ['the key of the epoch', tellEpoch],
])('a peer with %s', (_, tell) => {
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
});

describe('the keys of an epoch', () => {
  const refused = (change: Partial<PeerChange>) => () => a.configure({ peers: [b.asPeer(change)] });
  const epoch = (generation: number) => ({ generation, presharedKeyOf: askedFor(generation) });

  test('nobody has one in an epoch that the device is not in', () => {
    expect(refused({ generation: 1 })).toThrow(
      'peers[0].generation: expected the key that it belongs',
    );
    a.configure({ epoch: epoch(3) });
    expect(refused({ generation: 4 })).toThrow(
      'peers[0].generation: expected the key that it belongs',
    );
    expect(refused({ generation: 0 })).toThrow(
      'peers[0].generation: expected the key that it belongs',
    );
    expect(refused({})).toThrow('presharedKey');
    expect(() => a.configure({ epoch: epoch(2) })).toThrow('epoch.generation: expected at least 3');
    expect(() => a.configure({ epoch: epoch(0) })).toThrow('epoch.generation: expected at least 3');
    expect(refused({ generation: 3 })).not.toThrow();
  });

  test('are taken instead of older ones that peers have, and not of newer ones', () => {
    a.configure({ peers: [b.asPeer({ presharedKey: keyOf(5), generation: 5 })] });
    a.configure({ epoch: epoch(4) });
    expect(statusOfB().presharedKey).toEqual(keyOf(5));
    a.configure({ epoch: epoch(5) });
    expect(statusOfB().presharedKey).toBeUndefined();
    tellB(5);
    simulation.runFor(5000);
    expect([statusOfB().generation, asked.get(5)]).toEqual([5, 1]);
  });

  test('concern no peer whose key has no generation', () => {
    a.configure({ peers: [b.asPeer({ presharedKey: keyOf(7) })] });
    a.configure({ epoch: epoch(4) });
    expect(statusOfB().presharedKey).toEqual(keyOf(7));
  });

  test('a peer that has none in it gets no handshake, in either direction', () => {
    tellEpoch(1);
    simulation.runFor(5000);
    expect(statusOfB().generation).toBe(1);
    a.configure({ epoch: { generation: 2, presharedKeyOf: () => undefined } });
    b.configure({ peers: [a.asPeer({ presharedKey: new Uint8Array(32).fill(9), generation: 2 })] });
    a.sendTo(b, new Uint8Array(16));
    simulation.runFor(10_000);
    expect(statusOfB().generation).toBe(1);
    expect(b.peer(a)!.generation).toBe(1);
    expect(a.drops.presharedKeyMissing).toBeGreaterThan(0);
  });
});
