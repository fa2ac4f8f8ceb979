import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { Tap } from '../lab/inspect.ts';
import { Ledger } from '../lab/ledger.ts';
import { connect, PERFECT_LINK, type SimulatedNode, Simulation } from '../lab/simulation.ts';

/** Pairs that do not talk: no handshake at an epoch, a quick one with the first packet. */

const EPOCH = 60_000;
const HOUR = 3_600_000;
const ROTATION = { epoch: EPOCH, grace: 20_000, quietPairsWait: true };

let simulation: Simulation;
let a: SimulatedNode;
let b: SimulatedNode;
let ledger: Ledger;
let tap: Tap;
let epoch: number;
/** Newest epoch that each node was told of. */
let known: Map<SimulatedNode, number>;

beforeEach(() => setUp(7));

function setUp(seed: number): void {
  simulation = new Simulation(seed);
  [a, b] = [0, 1].map(() => simulation.addNode({ rotation: ROTATION, requirePsk: true })) as [
    SimulatedNode,
    SimulatedNode,
  ];
  epoch = 1;
  known = new Map();
  connect(a, b, { presharedKey: psk(1), generation: 1, expireBefore: 1 });
  ledger = new Ledger(simulation);
  tap = new Tap(simulation);
}

const psk = (generation: number) => new Uint8Array(32).fill(1 + (generation % 250));

/**
 * A new epoch, of which b learns `skew` ms after a (before, if it is negative): each second time as a key for
 * the peer, else as keys for all.
 */
function rotate(skew = 0): void {
  epoch++;
  const generation = epoch;
  const learns =
    (node: SimulatedNode, { publicKey }: SimulatedNode) =>
    () => {
      if (generation < (known.get(node) ?? 0)) return; // of the newer one already
      known.set(node, generation);
      const presharedKey = psk(generation);
      const isForAll = generation % 2 === 0;
      if (isForAll)
        node.configure({ epoch: { generation, presharedKeyOf: () => psk(generation) } });
      else node.configure({ peers: [{ publicKey, presharedKey, generation }] });
    };
  simulation.after(Math.max(0, -skew), learns(a, b));
  simulation.after(Math.max(0, skew), learns(b, a));
}

/** ms until a packet from one side arrives at the other, undefined if it does not within a second. */
function timeToArrive(from: SimulatedNode, to: SimulatedNode): number | undefined {
  const before = ledger.deliveredCount(from, to);
  const sentAt = simulation.now;
  ledger.send(from, to);
  while (simulation.now < sentAt + 1000) {
    if (!simulation.runNext(sentAt + 1000)) break;
    if (ledger.deliveredCount(from, to) > before) return simulation.now - sentAt;
  }
  return undefined;
}

const initiations = () => tap.of('initiation').length;

test('a pair that never talked makes no handshake but the first', () => {
  simulation.runFor(1000);
  tap.clear();
  for (let i = 0; i < 5; i++) {
    simulation.runFor(EPOCH);
    rotate();
  }
  simulation.runFor(EPOCH);
  expect(initiations()).toBe(0);
  expect([a.peer(b)!.isQuiet, b.peer(a)!.isQuiet]).toEqual([true, true]);
});

test('a pair that talked in the last two epochs gets its session at the beginning of the next', () => {
  expect(timeToArrive(a, b)).toBeDefined();
  for (const talks of [true, true, true]) {
    simulation.runFor(EPOCH - 100);
    if (talks) ledger.send(b, a);
    simulation.runFor(100);
    rotate();
    simulation.runFor(3000);
    expect([a.peer(b)!.generation, b.peer(a)!.generation]).toEqual([epoch, epoch]);
  }
});

test('after two epochs of silence it waits', () => {
  expect(timeToArrive(a, b)).toBeDefined();
  for (let i = 0; i < 3; i++) {
    rotate();
    simulation.runFor(EPOCH);
  }
  tap.clear();
  rotate();
  simulation.runFor(EPOCH);
  expect(initiations()).toBe(0);
});

test('a persistent keepalive counts as traffic', () => {
  a.configure({ peers: [{ publicKey: b.publicKey, persistentKeepalive: 25 }] });
  for (let i = 0; i < 10; i++) {
    rotate();
    simulation.runFor(EPOCH);
  }
  expect(b.peer(a)!.generation).toBe(epoch);
});

test('the first packet after a quiet hour arrives within 100 ms on a link of 1 ms', () => {
  const times: number[] = [];
  for (let seed = 0; seed < 50; seed++) {
    setUp(seed);
    timeToArrive(a, b);
    const hour = simulation.now + HOUR;
    while (simulation.now < hour) {
      rotate((simulation.random() - 0.5) * 200);
      simulation.runFor(EPOCH);
    }
    simulation.runFor(simulation.random() * EPOCH);
    times.push(
      timeToArrive(...((seed % 2 === 0 ? [a, b] : [b, a]) as [typeof a, typeof b])) ?? 1e9,
    );
  }
  expect(Math.max(...times)).toBeLessThan(100);
});

test('nobody answers for ever whom nobody talks to: after two epochs in vain it waits for a packet, too', () => {
  b.stop();
  for (let i = 0; i < 4; i++) {
    simulation.runFor(EPOCH);
    rotate();
  }
  expect(a.peer(b)!.isQuiet).toBe(true);
  b.restart();
  b.configure({ peers: [a.asPeer({ presharedKey: psk(epoch), generation: epoch })] });
  simulation.runFor(EPOCH);
  expect(timeToArrive(a, b)).toBeLessThan(100);
});

test('who was answered under an old key is not made to wait, quiet or not', () => {
  for (let i = 0; i < 5; i++) {
    simulation.runFor(EPOCH);
    rotate();
  }
  simulation.runFor(1000);
  expect(a.peer(b)!.isQuiet).toBe(true);
  // b knows the next epoch and has something to say; a answers under the one before.
  const generation = ++epoch;
  const next = { epoch: { generation, presharedKeyOf: () => psk(generation) } };
  b.configure(next);
  ledger.send(b, a);
  simulation.runFor(200);
  expect(ledger.deliveredCount(b, a)).toBe(0);
  tap.clear();
  a.configure(next);
  simulation.runFor(20);
  expect(tap.of('initiation', a)).toHaveLength(1);
  expect(ledger.deliveredCount(b, a)).toBe(1);
});

test('where the first messages are lost, the schedule is the dense one of a rotation', () => {
  rotate();
  simulation.runFor(HOUR);
  let lost = 0;
  simulation.filter = (datagram) => datagram[0] !== 1 || ++lost > 2;
  const since = simulation.now;
  tap.clear();
  ledger.send(a, b);
  simulation.runFor(5000);
  expect(ledger.deliveredCount(a, b)).toBe(1);
  expect(
    tap.of('initiation', a).map(({ at }) => Math.round((at + 1000 - since) / 100) / 10),
  ).toEqual([0, 0.5, 1]);
});

test('a pair that talks again on a keypair of an old epoch moves to the present one', () => {
  timeToArrive(a, b);
  simulation.runFor(EPOCH);
  rotate();
  simulation.runFor(2 * EPOCH + 1000);
  rotate(); // quiet by now, and the keypair of the epoch before lives
  simulation.runFor(1000);
  expect(a.peer(b)!.isQuiet).toBe(true);
  expect(timeToArrive(a, b)).toBeLessThan(10);
  simulation.runFor(6000);
  expect([a.peer(b)!.generation, b.peer(a)!.generation]).toEqual([epoch, epoch]);
});

test('a node that restarts makes its sessions anew: the others may go on with those from before', () => {
  timeToArrive(a, b);
  rotate();
  simulation.runFor(1000);
  b.restart();
  b.configure({ peers: [a.asPeer({ presharedKey: psk(2), generation: 2, expireBefore: 2 })] });
  simulation.runFor(2000);
  const before = ledger.deliveredCount(a, b);
  ledger.send(a, b);
  simulation.runFor(100);
  expect(ledger.deliveredCount(a, b)).toBe(before + 1);
});

test('nor does a new epoch, or a second expiry, keep it from that', () => {
  timeToArrive(a, b);
  simulation.runFor(2 * EPOCH + 1000);
  simulation.filter = () => false;
  b.core.expireAllSessions(b.clock);
  b.core.expireKeypairs(epoch + 1, b.clock);
  rotate();
  simulation.runFor(2000);
  simulation.filter = () => true;
  simulation.runFor(6000);
  expect(b.peer(a)!.generation).toBe(epoch);
});

test('a removed peer is out at once, quiet or not', () => {
  timeToArrive(a, b);
  for (let i = 0; i < 4; i++) {
    rotate();
    simulation.runFor(EPOCH / 2);
  }
  b.configure({ peers: [{ publicKey: a.publicKey, remove: true }] });
  const before = ledger.deliveredCount(a, b);
  ledger.send(a, b);
  simulation.runFor(EPOCH);
  expect(ledger.deliveredCount(a, b)).toBe(before);
});

test('whatever is said when, and whoever learns of an epoch when, nothing is lost', () => {
  const step = fc.record({
    wait: fc.oneof(fc.nat(3000), fc.nat(4 * EPOCH)),
    what: fc.constantFrom('a speaks', 'b speaks', 'epoch', 'epoch', 'burst'),
    skew: fc.integer({ min: -3000, max: 3000 }),
  });
  fc.assert(
    fc.property(fc.nat(), fc.array(step, { maxLength: 30 }), fc.nat(60), (seed, steps, delay) => {
      setUp(seed);
      simulation.faults = { ...PERFECT_LINK, minDelay: 1, maxDelay: 1 + delay };
      for (const { wait, what, skew } of steps) {
        simulation.runFor(wait);
        if (what === 'epoch') rotate(skew);
        else if (what === 'burst') for (let i = 0; i < 20; i++) ledger.send(a, b);
        else ledger.send(...((what === 'a speaks' ? [a, b] : [b, a]) as [typeof a, typeof b]));
      }
      simulation.runFor(20_000);
      expect(ledger.violations).toEqual({ duplicated: 0, altered: 0, misdelivered: 0 });
      expect([ledger.missingOf(a, b), ledger.missingOf(b, a)]).toEqual([[], []]);
    }),
    {
      numRuns: 150,
      examples: [
        // The keypair ends while the packet is under way.
        [
          0,
          [
            { wait: 0, what: 'epoch', skew: 12 },
            { wait: 2842, what: 'a speaks', skew: 0 },
            { wait: 177_208, what: 'b speaks', skew: 0 },
          ],
          0,
        ],
      ],
    },
  );
});
