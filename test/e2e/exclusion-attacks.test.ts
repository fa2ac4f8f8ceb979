import { beforeEach, describe, expect, test } from 'vitest';
import type { Endpoint } from '../../src/wire/endpoint.ts';
import { seededBytes } from '../lab/random.ts';
import { innerPacket, type SimulatedNode, Simulation } from '../lab/simulation.ts';

/**
 * A denied node that does everything it can, in simulated time and with a listener on every wire:
 * nothing that it sends is accepted by any member, and nothing is sealed to it.
 */
let simulation: Simulation;
let a: SimulatedNode;
let b: SimulatedNode;
/** The one that is denied. */
let c: SimulatedNode;
let epoch: number;
/** Every datagram that was ever on the wire, oldest first. */
let captured: { from: SimulatedNode; to: SimulatedNode; datagram: Uint8Array }[];
/** Inner packets that came out at a member, by claimed source address. */
let delivered: { at: SimulatedNode; source: number; text: string }[];

const DENIAL = 5;

const pskOf = (x: SimulatedNode, y: SimulatedNode, of: number): Uint8Array =>
  new Uint8Array(32).fill(of).fill(x.id * y.id, 16);

/** What agents do at an epoch: remove who is out, and give each pair its new key. */
function commit(present: readonly SimulatedNode[]): void {
  epoch++;
  for (const node of present) {
    const gone = simulation.nodes.filter((other) => other !== node && !present.includes(other));
    node.configure({ peers: gone.map(({ publicKey }) => ({ publicKey, remove: true })) });
    for (const peer of present) {
      if (peer === node) continue;
      const keyed = {
        presharedKey: pskOf(node, peer, epoch),
        generation: epoch,
        expireBefore: peer === c && epoch > DENIAL ? epoch : 1,
      };
      // An endpoint that is known is not repeated: that would undo roaming.
      const known = { publicKey: peer.publicKey, ...keyed };
      node.configure({ peers: [node.peer(peer) === undefined ? peer.asPeer(keyed) : known] });
    }
  }
}

/** Everybody talks to everybody for a while. */
function talk(ms: number): void {
  const end = simulation.now + ms;
  let number = 0;
  while (simulation.now < end) {
    for (const from of [a, b, c]) {
      for (const to of [a, b, c]) {
        if (from !== to) from.sendTo(to, new TextEncoder().encode(`${from.id}>${to.id}#${number}`));
      }
    }
    number++;
    simulation.runFor(20);
  }
}

const heardFrom = (node: SimulatedNode) =>
  delivered.filter(({ at, source }) => at !== c && source === node.id);

/** What has left the members for the denied node since `from`. */
const sentTo = (node: SimulatedNode, from: number) =>
  captured.slice(from).filter(({ from: sender, to }) => sender !== node && to === node);

/** Runs an attack after the denial, with the members talking; nothing of it may be accepted. */
function expectNothingAccepted(attack: () => void): void {
  simulation.runFor(500);
  delivered = [];
  const before = captured.length;
  attack();
  talk(3000);
  expect(heardFrom(c)).toEqual([]);
  const answers = sentTo(c, before).map(({ datagram }) => datagram[0]);
  expect(answers.filter((type) => type === 2 || type === 4)).toEqual([]);
  for (const member of [a, b]) {
    expect(member.peer(c)).toBeUndefined();
    // Each packet of the other member came exactly once: the attack did no harm either.
    const texts = delivered.filter(({ at }) => at === member).map(({ text }) => text);
    expect(texts.length).toBe(150);
    expect(new Set(texts).size).toBe(150);
  }
}

beforeEach(() => {
  simulation = new Simulation(7);
  [a, b, c] = Array.from({ length: 3 }, () =>
    simulation.addNode({ requirePsk: true, maxPeers: 8 }),
  ) as [SimulatedNode, SimulatedNode, SimulatedNode];
  captured = [];
  delivered = [];
  simulation.filter = (datagram, from, to) => {
    captured.push({ from, to, datagram: new Uint8Array(datagram) });
    return true;
  };
  for (const node of simulation.nodes) {
    node.onPacket = (packet) => {
      const text = new TextDecoder().decode(packet.subarray(20));
      delivered.push({ at: node, source: packet[15]!, text });
    };
  }
  epoch = 0;
  for (let i = 1; i < DENIAL; i++) {
    commit([a, b, c]);
    talk(1000);
  }
  expect(heardFrom(c).length).toBeGreaterThan(300);
  commit([a, b]);
});

/** Where on the wire a datagram seems to come from. */
const from = (node: SimulatedNode, port = 51820): Endpoint => ({ ...node.endpoint, port });

function shakeHands(key: Uint8Array, target: SimulatedNode, generation: number): void {
  c.configure({
    peers: [target.asPeer({ presharedKey: key, generation: 1000 + generation, expireBefore: 1e6 })],
  });
  simulation.runFor(700);
}

describe('a denied node cannot reach any member by', () => {
  test('going on with its old sessions', () => {
    expectNothingAccepted(() => {});
    expect(a.drops.unknownReceiverIndex).toBeGreaterThan(100);
    expect(b.drops.unknownReceiverIndex).toBeGreaterThan(100);
  });

  test('handshakes with every pre-shared key it ever had', () => {
    expectNothingAccepted(() => {
      for (let old = 1; old < DENIAL; old++) {
        for (const member of [a, b]) shakeHands(pskOf(c, member, old), member, old);
      }
    });
    expect(a.drops.initiatorUnknown).toBeGreaterThanOrEqual(DENIAL - 1);
  });

  test("handshakes with the members' own pre-shared key, old ones and the present one", () => {
    expectNothingAccepted(() => {
      for (let of = 1; of <= DENIAL; of++) {
        for (const member of [a, b]) shakeHands(pskOf(a, b, of), member, of);
      }
    });
  });

  test('replays of everything that was ever on the wire, from its own address', () => {
    expectNothingAccepted(() => {
      for (const { datagram } of [...captured]) {
        for (const member of [a, b]) member.receive(datagram, from(c));
      }
    });
    expect(a.drops.timestampReplayed).toBeGreaterThan(0); // the other member's initiations
  });

  test('replays of everything, from the addresses of those it came from', () => {
    expectNothingAccepted(() => {
      for (const { datagram, from: sender } of [...captured]) {
        for (const member of [a, b]) member.receive(datagram, from(sender));
      }
    });
  });

  test('another address and port, with old sessions and new handshakes', () => {
    expectNothingAccepted(() => {
      c.endpoint = { ...c.endpoint, address: Uint8Array.of(198, 51, 100, 77), port: 4000 };
      for (const member of [a, b]) {
        c.sendTo(member, new TextEncoder().encode('from elsewhere'));
        shakeHands(pskOf(c, member, DENIAL - 1), member, 1);
      }
    });
  });

  test('inner packets in the name of a member', () => {
    expectNothingAccepted(() => {
      for (let i = 0; i < 100; i++) {
        const forged = innerPacket(b.prefix.address, a.prefix.address, new Uint8Array([i]));
        c.sendPacket(forged);
      }
    });
  });

  test('a flood of garbage of every kind, and of initiations by nobody', () => {
    const random = seededBytes(99);
    expectNothingAccepted(() => {
      for (let i = 0; i < 4000; i++) {
        const type = 1 + (i % 4);
        const length = [148, 92, 64, 32 + 16 * (i % 80)][i % 4]!;
        const garbage = random(length);
        garbage.set([type, 0, 0, 0]);
        for (const member of [a, b]) member.receive(garbage, from(c, 1024 + (i % 60_000)));
      }
      for (let i = 0; i < 30; i++) {
        const nobody = simulation.addNode({ requirePsk: true, maxPeers: 8 });
        const presharedKey = random(32);
        nobody.configure({
          peers: [a, b].map((one) => one.asPeer({ presharedKey, generation: 1 })),
        });
        simulation.runFor(20);
      }
    });
    expect(a.drops.mac1Invalid).toBeGreaterThan(1000);
  });
});

describe('readmitted, it is not taken for what it was:', () => {
  const oldDatagrams = () => captured.filter(({ from: sender }) => sender === c);

  test('replayed initiations and packets from before are refused, before and after its handshake', () => {
    simulation.runFor(500);
    talk(1000);
    const old = oldDatagrams();
    const replay = () => {
      for (const { datagram, to } of old) if (to !== c) to.receive(datagram, from(c));
    };
    commit([a, b, c]);
    delivered = [];
    const responses = captured.length;
    replay(); // the members know it again, and it has not begun yet
    expect(heardFrom(c)).toEqual([]);
    const initiations = old.filter(({ datagram, to }) => to === a && datagram[0] === 1).length;
    expect(a.drops.timestampReplayed).toBeGreaterThanOrEqual(initiations);
    expect(sentTo(c, responses).filter(({ datagram }) => datagram[0] === 2)).toEqual([]);

    simulation.runFor(1000);
    delivered = [];
    talk(500);
    replay();
    talk(500);
    for (const member of [a, b]) {
      const texts = heardFrom(c).filter(({ at }) => at === member);
      expect(texts.length).toBe(50);
    }
  });

  test('it talks on new keys at once, and its old keypairs are gone', () => {
    commit([a, b, c]);
    const since = simulation.now;
    delivered = [];
    while (heardFrom(c).length === 0 && simulation.now < since + 5000) talk(20);
    expect(simulation.now - since).toBeLessThan(2000);
    expect(a.peer(c)!.generation).toBe(epoch);
  });
});
