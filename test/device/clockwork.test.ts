import { expect, test } from 'vitest';
import { seededRandom } from '../lab/random.ts';
import { connect, type SimulatedNode, Simulation } from '../lab/simulation.ts';

/** The inside of a device's clockwork, to compare its heap with a look at every peer. */
interface Inside {
  readonly peers: { all(): Iterable<object> };
  readonly clockwork: {
    nextPoll(): number;
    readonly deadlines: { entries: Map<object, { at: number }> };
    readonly duties: readonly { at(peer: object): number }[];
  };
}

/** Peers whose deadline in the heap is later than that which a look at the peer gives. */
function missed(node: SimulatedNode): string[] {
  const { peers, clockwork } = node.core.device as unknown as Inside;
  clockwork.nextPoll();
  const wrong: string[] = [];
  for (const peer of peers.all()) {
    const kept = clockwork.deadlines.entries.get(peer)?.at ?? Number.POSITIVE_INFINITY;
    const actual = Math.min(...clockwork.duties.map((duty) => duty.at(peer)));
    if (actual < kept) wrong.push(`due at ${actual}, kept as ${kept}`);
  }
  return wrong;
}

test.each([1, 2, 3, 4])('no deadline is missed, whatever happens (seed %i)', (seed) => {
  const random = seededRandom(seed);
  const simulation = new Simulation(seed);
  simulation.faults = { loss: 0.1, duplication: 0.05, minDelay: 1, maxDelay: 80 };
  const nodes = [0, 1, 2, 3].map(() =>
    simulation.addNode({ rotation: { grace: 2000, epoch: 6000 } }),
  );
  const any = (): SimulatedNode => nodes[Math.floor(random() * nodes.length)]!;
  const psk = (epoch: number) => new Uint8Array(32).fill(epoch);
  let epoch = 1;
  for (const a of nodes) {
    for (const b of nodes) if (a.id < b.id) connect(a, b, { presharedKey: psk(1), generation: 1 });
  }
  const events: (() => void)[] = [
    () => any().sendTo(any(), Uint8Array.of(1)),
    () => any().sendTo(any(), Uint8Array.of(2)),
    () => {
      epoch++;
      for (const a of nodes) {
        for (const b of nodes) {
          const { publicKey } = b;
          if (a !== b)
            a.configure({ peers: [{ publicKey, presharedKey: psk(epoch), generation: epoch }] });
        }
      }
    },
    () => any().core.device.setUp(random() < 0.7, simulation.now),
    () => any().core.expireKeypairs(epoch, simulation.now),
    () => any().configure({ peers: [{ publicKey: any().publicKey, persistentKeepalive: 3 }] }),
    () => any().configure({ peers: [{ publicKey: any().publicKey, remove: true }] }),
    () => {
      const [a, b] = [any(), any()];
      if (a !== b) connect(a, b, { presharedKey: psk(epoch), generation: epoch });
    },
    () => any().core.expireAllSessions(simulation.now),
  ];
  for (let i = 0; i < 200; i++) {
    events[Math.floor(random() * random() * events.length)]!();
    for (const node of nodes) node.wake();
    simulation.runFor(random() * 1000);
    for (const node of nodes) expect(missed(node)).toEqual([]);
  }
});
