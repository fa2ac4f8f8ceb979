import fc from 'fast-check';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { KEYPAIR } from '../../src/datapath/memory.ts';
import { memoryOf, sendingSlot, slotsWithKeys, stateOf, Tap } from '../lab/inspect.ts';
import { Ledger } from '../lab/ledger.ts';
import { connect, type SimulatedNode, Simulation } from '../lab/simulation.ts';

/** Simulations compute; on a busy machine that takes its time. */
vi.setConfig({ testTimeout: 90_000 });

/** Keypairs, their generations and the rotation schedule (DESIGN: rotation loses nothing). */
const GRACE = 20_000;

let simulation: Simulation;
let a: SimulatedNode;
let b: SimulatedNode;
let ledger: Ledger;
let tap: Tap;

/** Two nodes; a has the smaller public key, so it starts rotations. */
function nodes(seed = 1): void {
  simulation = new Simulation(seed);
  const pair = [simulation.addNode({ requirePsk: true }), simulation.addNode({ requirePsk: true })];
  pair.sort((x, y) => (x.publicKey.toHex() < y.publicKey.toHex() ? -1 : 1));
  [a, b] = pair as [SimulatedNode, SimulatedNode];
  ledger = new Ledger(simulation);
}

beforeEach(() => nodes());

const psk = (generation: number): Uint8Array => new Uint8Array(32).fill(generation);

/** What a node does when it learns of an epoch. */
function learn(node: SimulatedNode, generation: number, fields = {}): void {
  const other = node === a ? b : a;
  node.configure({
    peers: [{ publicKey: other.publicKey, presharedKey: psk(generation), generation, ...fields }],
  });
}

const both = (generation: number) => {
  learn(a, generation);
  learn(b, generation);
};

/** Two members of generation 1 with a session, ten seconds old. */
function members(): void {
  connect(a, b, { presharedKey: psk(1), generation: 1 });
  simulation.runFor(12_000);
  tap = new Tap(simulation);
}

const generations = () => [a.peer(b)!.generation, b.peer(a)!.generation];
const slots = (node: SimulatedNode) => slotsWithKeys(node.core).length;

/** The two receiver indices of the session that a node sends on, own one first. */
function session(node: SimulatedNode): [number, number] {
  const memory = memoryOf(node.core);
  const at = memory.keypair(sendingSlot(node.core));
  return [
    memory.u32[(at + KEYPAIR.localIndex) >> 2]!,
    memory.u32[(at + KEYPAIR.remoteIndex) >> 2]!,
  ];
}

/** Both send on one and the same session. */
function expectSameSession(): void {
  const [local, remote] = session(a);
  expect(session(b)).toEqual([remote, local]);
}

describe('a new generation', () => {
  test('gets a session without any data, begun by the smaller key', () => {
    members();
    both(2);
    simulation.runFor(1000);
    expect(generations()).toEqual([2, 2]);
    expect(tap.seconds('initiation', a)).toHaveLength(1);
    expect(tap.seconds('initiation', b)).toHaveLength(0);
    expectSameSession();
  });

  test('is begun by the greater key after half a second if the smaller one does not', () => {
    members();
    simulation.filter = (_, from) => from !== a;
    both(2);
    simulation.runFor(400);
    expect(tap.of('initiation', b)).toHaveLength(0);
    simulation.runFor(200);
    expect(tap.of('initiation', b)).toHaveLength(1);
  });

  test('is tried at 0, 0.5, 1, 2 and 4 s and then every 5 s, after a jitter of 20 ms a peer', () => {
    members();
    b.stop();
    learn(a, 2);
    simulation.runFor(30_000);
    const at = tap.of('initiation', a).map((seen) => seen.at);
    expect(at[0]).toBeLessThanOrEqual(20);
    expect(at.map((time) => Math.round((time - at[0]!) / 10) * 10)).toEqual([
      0, 500, 1000, 2000, 4000, 9000, 14_000, 19_000, 24_000, 29_000,
    ]);
  });

  test('learned by one side much earlier is begun at once by the other when it learns of it', () => {
    for (const [early, late] of [
      [a, b],
      [b, a],
    ] as const) {
      nodes(3);
      members();
      const [first, second] = early.id === a.id ? [a, b] : [b, a];
      expect(late.id).toBe(second.id);
      learn(first, 2);
      simulation.runFor(3000);
      expect(generations()).toEqual([1, 1]);
      tap.clear();
      learn(second, 2);
      simulation.runFor(10);
      expect(tap.of('initiation', second)).toHaveLength(1);
      expect(generations()).toEqual([2, 2]);
    }
  });

  test('is begun at once with a peer that tried while it was not configured', () => {
    connect(a, b, { presharedKey: psk(1), generation: 1 });
    b.configure({ replacePeers: true });
    simulation.runFor(3000);
    expect(b.drops.initiatorUnknown).toBeGreaterThan(0);
    tap = new Tap(simulation);
    b.configure({ peers: [a.asPeer({ presharedKey: psk(1), generation: 1 })] });
    simulation.runFor(10);
    expect(tap.of('initiation', b)).toHaveLength(1);
    expect(generations()).toEqual([1, 1]);
  });

  test('never sends two initiations within 40 ms', () => {
    const configurations = fc.array(fc.nat(60), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(fc.nat(1000), configurations, (seed, gaps) => {
        nodes(seed);
        members();
        simulation.filter = () => false;
        let generation = 2;
        for (const gap of gaps) {
          both(generation++);
          simulation.runFor(gap);
        }
        simulation.runFor(2000);
        for (const node of [a, b]) {
          const at = tap.of('initiation', node).map((seen) => seen.at);
          at.slice(1).forEach((time, i) => {
            expect(time - at[i]!).toBeGreaterThanOrEqual(40 - 1e-3);
          });
        }
      }),
      { numRuns: 20 },
    );
  });
});

describe('the keypair before', () => {
  test('is received on until the grace is over, then its keys are zero', () => {
    members();
    const held: Uint8Array[] = [];
    simulation.filter = (datagram, from) => {
      if (from === b) held.push(datagram.slice());
      return from !== b;
    };
    ledger.send(b, a);
    ledger.send(b, a);
    simulation.filter = () => true;
    both(2);
    simulation.runFor(1000);
    expect(generations()).toEqual([2, 2]);
    expect([slots(a), slots(b)]).toEqual([2, 2]);
    a.receive(held[0]!, b.endpoint); // late, on the old keypair
    expect(ledger.deliveredCount(b, a)).toBe(1);
    simulation.runFor(GRACE - 1100);
    expect(slots(a)).toBe(2);
    simulation.runFor(500);
    expect([slots(a), slots(b)]).toEqual([1, 1]);
    a.receive(held[1]!, b.endpoint);
    expect(a.drops.unknownReceiverIndex).toBe(1);
  });

  test('lives on while nothing has come in on the newer one', () => {
    members();
    // Everything of generation 2 from b is lost but for the response.
    simulation.filter = (_, from) =>
      from !== b || tap.seen.at(-1)!.kind === 'response' || generations()[1] === 1;
    both(2);
    simulation.runFor(GRACE + 5000);
    expect(generations()).toEqual([1, 2]); // a sends on it, but has not heard b on it
    expect(slots(a)).toBeGreaterThanOrEqual(2);
    simulation.filter = () => true;
    ledger.send(b, a);
    simulation.runFor(GRACE + 1000);
    expect(slots(a)).toBe(1);
  });

  test('is zeroed at once where expireBefore says so', () => {
    members();
    learn(a, 3, { expireBefore: 3 });
    expect(slots(a)).toBe(0);
    expect(sendingSlot(a.core)).toBe(-1);
    learn(b, 3, { expireBefore: 2 });
    expect(slots(b)).toBe(0);
    simulation.runFor(1000);
    expect(generations()).toEqual([3, 3]);
  });

  test('is zeroed at once by expireKeypairs', () => {
    members();
    a.core.expireKeypairs(1, a.clock);
    expect(slots(a)).toBe(1);
    a.core.expireKeypairs(2, a.clock);
    expect(slots(a)).toBe(0);
  });

  test('without a successor lives until REJECT_AFTER_TIME', () => {
    members();
    b.stop();
    learn(a, 2);
    simulation.runFor(160_000);
    expect(slots(a)).toBe(1);
    simulation.runFor(20_000);
    expect(slots(a)).toBe(0);
  });
});

describe('half-finished handshakes', () => {
  test('of the old generation displace nothing and lose nothing', () => {
    members();
    // Both sides initiate under generation 1 and no response arrives.
    simulation.filter = (datagram) => datagram[0] !== 2;
    for (let i = 0; i < 30; i++) {
      ledger.send(a, b);
      ledger.send(b, a);
      simulation.runFor(5100);
      for (const node of [a, b]) node.core.device.handshakeWanted(0, node.clock);
      for (const node of [a, b]) node.wake();
      simulation.runFor(100);
      expect([slots(a), slots(b)].every((count) => count <= 9)).toBe(true);
    }
    expect(ledger.missing).toBe(0);
    simulation.filter = () => true;
    both(2);
    simulation.runFor(1000);
    expect(generations()).toEqual([2, 2]);
    ledger.send(a, b);
    ledger.send(b, a);
    simulation.runFor(100);
    expect(ledger.missing).toBe(0);
  });

  test('that are finished late do not take sending back to an older generation', () => {
    members();
    // b has answered under generation 1; a takes the response only after both have moved on.
    const held: Uint8Array[] = [];
    simulation.filter = (datagram) => {
      if (datagram[0] === 2) held.push(datagram.slice());
      return datagram[0] !== 2;
    };
    a.core.device.handshakeWanted(0, a.clock);
    a.wake();
    simulation.runFor(10);
    expect(held).toHaveLength(1);
    simulation.filter = () => true;
    both(2);
    simulation.runFor(1000);
    a.receive(held[0]!, b.endpoint);
    simulation.runFor(1000);
    expect(generations()).toEqual([2, 2]);
    expectSameSession();
  });
});

describe('responses that take longer than it takes to try again', () => {
  const pending = (node: SimulatedNode) => {
    const { device } = node.core as unknown as {
      device: {
        peers: { all(): Iterable<{ initiations: { noise: unknown }[] }> };
        sessions: { indexes: { size: number } };
      };
    };
    const [peer] = device.peers.all();
    return { initiations: peer!.initiations, indexes: device.sessions.indexes.size };
  };

  test('complete the attempt that they answer, and end the others', () => {
    members();
    simulation.delay = () => 700; // answers come after 1.4 s, the second and third attempt before
    both(2);
    simulation.runFor(40 + 2 * 1400 + 100); // the answer, and the first packet back
    expect(generations()).toEqual([2, 2]);
    expect(pending(a).initiations).toEqual([]);
    simulation.runFor(30_000);
    // The first answer was taken; later ones were to attempts that are over.
    expect(a.drops.responseReceiverUnknown).toBeGreaterThan(0);
    expect(session(a)).toEqual(session(b).toReversed());
    for (let i = 0; i < 10; i++) {
      ledger.send(a, b);
      ledger.send(b, a);
    }
    simulation.runFor(5000);
    expect(ledger.missing).toBe(0);
  });

  test('are waited for by the latest three attempts only; what those hold is wiped', () => {
    members();
    simulation.filter = () => false;
    both(2);
    const before = pending(a);
    let seen = [...before.initiations];
    for (let ms = 0; ms < 60_000; ms += 100) {
      simulation.runFor(100);
      const { initiations, indexes } = pending(a);
      expect(initiations.length).toBeLessThanOrEqual(3);
      expect(indexes).toBeLessThanOrEqual(before.indexes + 3);
      seen = [...new Set([...seen, ...initiations])];
    }
    expect(seen.length).toBeGreaterThan(10);
    const kept = new Set(pending(a).initiations);
    for (const initiation of seen.filter((one) => !kept.has(one))) {
      const { state } = initiation.noise as { state: { chainingKey: Uint8Array; key: Uint8Array } };
      expect(state.chainingKey.every((byte) => byte === 0)).toBe(true);
      expect(state.key.every((byte) => byte === 0)).toBe(true);
    }
  });

  test('that were made under the key before are refused and change nothing', () => {
    members();
    learn(a, 2);
    let response: Uint8Array | undefined;
    simulation.filter = (datagram) => {
      if (datagram[0] === 2) response = datagram.slice();
      return datagram[0] !== 2;
    };
    simulation.runFor(100); // b answers under the key of generation 1
    expect(response).toBeDefined();
    const waiting = pending(a).initiations.length;
    const state = stateOf(a.core);
    a.receive(response!, b.endpoint);
    expect(a.drops.responseUnauthenticated).toBe(1);
    expect(pending(a).initiations.length).toBe(waiting);
    expect(stateOf(a.core)).toBe(state);
    simulation.filter = () => true;
    learn(b, 2);
    simulation.runFor(1000);
    expect(generations()).toEqual([2, 2]);
  });
});

describe('the confirming keepalive', () => {
  test('is repeated after 0.1, 0.3 and 1 s while nothing comes back on the new keypair', () => {
    members();
    simulation.filter = (datagram, from) => from !== b || datagram[0] === 2;
    both(2);
    simulation.runFor(5000);
    const derived = tap.of('response', b)[0]!.at + 1;
    const at = tap.of('keepalive', a).map((seen) => Math.round((seen.at - derived) / 10) * 10);
    expect(at).toEqual([0, 100, 300, 1000]);
  });

  test('is answered again if the answer was lost, so that both know that both have it', () => {
    members();
    let lost = 0;
    simulation.filter = (datagram, from) =>
      from !== b || datagram[0] === 2 || datagram.length !== 32 || ++lost > 2;
    both(2);
    simulation.runFor(2000);
    expect(lost).toBe(3);
    expect(generations()).toEqual([2, 2]);
  });

  test('is not repeated once it was answered', () => {
    members();
    both(2);
    simulation.runFor(5000);
    expect(tap.of('keepalive', a)).toHaveLength(1);
    expect(tap.of('keepalive', b)).toHaveLength(1);
  });

  test('leaves no packet behind: the responder has it from the first one on the new keypair', () => {
    members();
    for (let i = 0; i < 5; i++) {
      both(2 + i);
      simulation.runFor(3000);
      expect(generations()).toEqual([2 + i, 2 + i]);
      expectSameSession();
    }
  });
});

describe('crossing initiations', () => {
  const delays = fc.integer({ min: 1, max: 150 });

  test('settle on one session, whenever each begins and however long messages take', () => {
    fc.assert(
      fc.property(delays, delays, fc.nat(300), fc.boolean(), (there, back, gap, aFirst) => {
        nodes();
        simulation.delay = (from) => (from === a ? there : back);
        connect(a, b, { presharedKey: psk(1) }); // no generation: handshakes by data only
        const [first, second] = aFirst ? [a, b] : [b, a];
        ledger.send(first, second);
        simulation.runFor(gap);
        ledger.send(second, first);
        simulation.runFor(1000);
        for (let i = 0; i < 3; i++) {
          ledger.send(first, second);
          ledger.send(second, first);
          simulation.runFor(500);
        }
        expect(ledger.missing).toBe(0);
        expectSameSession();
      }),
      { numRuns: 200 },
    );
  });

  test('lose nothing on links that reorder', () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.nat(80), (seed, gap) => {
        nodes(seed);
        Object.assign(simulation.faults, { minDelay: 1, maxDelay: 150 });
        connect(a, b, { presharedKey: psk(1) });
        ledger.send(a, b);
        simulation.runFor(gap);
        ledger.send(b, a);
        for (let i = 0; i < 50; i++) {
          simulation.runFor(7);
          ledger.send(a, b);
          ledger.send(b, a);
        }
        simulation.runFor(2000);
        expect(ledger.missing).toBe(0);
      }),
      { numRuns: 100 },
    );
  });
});

describe('after crossing initiations of a rotation', () => {
  /** Both begin generation 2 at once, over a link that takes 20 ms. */
  function cross(): void {
    members();
    simulation.delay = () => 20;
    both(2);
    ledger.send(b, a); // packets under way do not matter
    const initiate = (node: SimulatedNode) => {
      const device = node.core.device as unknown as {
        handshakes: { initiate(peer: unknown, isRetry: boolean, now: number): void };
        peers: { all(): Iterable<unknown> };
      };
      for (const peer of device.peers.all()) device.handshakes.initiate(peer, false, node.clock);
    };
    initiate(a);
    initiate(b);
  }

  // As the official implementation does if one of its threads answers the initiation while another
  // takes in the response: it sends on a session on which it hears nothing.
  test.each(['a', 'b'] as const)(
    'a peer that mixed up the two is reached again within 1.5 s (%s)',
    (deaf) => {
      cross();
      const began = simulation.now;
      let tried = 0;
      simulation.filter = (datagram, _from, to) => {
        if (datagram[0] === 1 && simulation.now > began) tried++;
        const isLost = tried === 0 && datagram[0] === 4 && to === (deaf === 'a' ? a : b);
        return !isLost;
      };
      simulation.runFor(1500);
      expect(tried).toBeGreaterThan(0);
      const [from, to] = deaf === 'a' ? [b, a] : [a, b];
      const before = ledger.missing;
      for (let i = 0; i < 10; i++) {
        ledger.send(from, to);
        simulation.runFor(20);
      }
      simulation.runFor(100);
      expect(ledger.missing).toBe(before);
    },
  );

  test('costs at most one more handshake of each side, once', () => {
    cross();
    tap = new Tap(simulation);
    simulation.runFor(30_000);
    expect(tap.of('initiation').length).toBeLessThanOrEqual(2);
    expectSameSession();
    expect(ledger.missing).toBe(0);
  });
});

test('timestamps of initiations grow even if the wall clock is set back', () => {
  members();
  const stamps: string[] = [];
  simulation.filter = () => false;
  for (let i = 0; i < 20; i++) {
    if (i === 5) a.clockSkew -= 3_600_000;
    if (i === 10) a.clockSkew += 7_200_000;
    if (i === 15) a.clockSkew -= 7_200_000;
    both(2 + i);
    simulation.runFor(700);
  }
  simulation.filter = () => true;
  // They are encrypted; that the peer takes each in turn shows that they grow.
  for (const { datagram } of tap.of('initiation', a)) {
    b.receive(datagram, a.endpoint);
    simulation.runFor(25);
    stamps.push(datagram.subarray(88, 116).toHex());
  }
  expect(b.drops.timestampReplayed).toBeUndefined();
  expect(stamps.length).toBeGreaterThan(30);
});

test('readiness: a handshake is reported with the generation of its keypair', () => {
  const seen: number[] = [];
  simulation = new Simulation(5);
  a = simulation.addNode();
  b = simulation.addNode({ onHandshake: (_key, generation) => seen.push(generation) });
  ledger = new Ledger(simulation);
  connect(a, b, { presharedKey: psk(1) });
  b.configure({ peers: [{ publicKey: a.publicKey, presharedKey: psk(1), generation: 1 }] });
  simulation.runFor(1000);
  expect(seen.every((generation) => generation <= 1)).toBe(true);
  // b answers under generation 1 and moves on before a's first packet comes in.
  seen.length = 0;
  simulation.faults.minDelay = 50;
  simulation.faults.maxDelay = 50;
  simulation.runFor(10_000);
  a.core.device.handshakeWanted(0, a.clock);
  a.wake();
  simulation.runFor(75);
  b.configure({ peers: [{ publicKey: a.publicKey, presharedKey: psk(2), generation: 2 }] });
  simulation.runFor(100);
  expect(seen).toEqual([1]);
});

test('after a suspend governed peers get a new session by themselves', () => {
  members();
  a.core.expireAllSessions(a.clock);
  a.wake();
  expect(slots(a)).toBe(0);
  simulation.runFor(2000);
  expect(generations()).toEqual([1, 1]);
  expectSameSession();
});

test('a side that expires its keypairs gets a new session although only the other one sends', () => {
  members();
  a.core.expireKeypairs(2, a.clock);
  a.wake();
  expect(slots(a)).toBe(0);
  simulation.runFor(2000);
  expect(generations()).toEqual([1, 1]);
  expectSameSession();
  const before = ledger.deliveredCount(b, a);
  ledger.send(b, a);
  simulation.runFor(100);
  expect(ledger.deliveredCount(b, a)).toBe(before + 1);
});
