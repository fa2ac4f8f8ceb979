import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toBase64 } from '../../src/contract/encoding.ts';
import { presharedKeyBytes } from '../../src/device/preshared-key.ts';
import { SimClock } from '../lab/agent-clock.ts';
import { memoryState } from '../lab/memory-state.ts';
import { FakeController } from './support/fake-controller.ts';
import { agentRig } from './support/rig.ts';

/** What may happen to a mesh, one thing after the other. */
type Step =
  | { readonly kind: 'rotate' | 'restart' | 'cut' | 'heal' | 'mute' | 'unmute' | 'endStreams' }
  | { readonly kind: 'deny' | 'admit'; readonly node: string }
  | { readonly kind: 'pass' | 'suspend'; readonly ms: number }
  | { readonly kind: 'clock'; readonly ms: number }
  | { readonly kind: 'slow'; readonly ms: number };

const NODES = ['node-a', 'node-b', 'node-c', 'node-d'];
const LIFETIME_S = 20;

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('pass'), ms: fc.integer({ min: 1, max: 9000 }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('rotate') }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('deny', 'admit'),
      node: fc.constantFrom(...NODES),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('restart', 'endStreams', 'mute', 'unmute', 'cut'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('heal') }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('suspend'), ms: fc.integer({ min: 1, max: 60_000 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('clock'),
      ms: fc.integer({ min: -700_000, max: 700_000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('slow'), ms: fc.integer({ min: 0, max: 4000 }) }),
  },
) as fc.Arbitrary<Step>;

/** One node among others, under a schedule, with everything that must hold checked as it goes. */
async function play(steps: readonly Step[]): Promise<void> {
  const clock = new SimClock();
  const controller = new FakeController(clock);
  controller.lifetimeS = LIFETIME_S;
  for (const [i, id] of NODES.entries()) controller.addNode(id, i + 1);
  const state = memoryState(); // what the node keeps over restarts
  /** Who was a member in which version. */
  const history = new Map<number, ReadonlySet<string>>();
  const remember = () => {
    const members = [...controller.nodes].filter(([, node]) => node.allowed).map(([id]) => id);
    history.set(controller.version, new Set(members));
  };
  remember();
  let rig = agentRig(controller, clock, 'node-a', state, { pollMs: 4000 });
  let mark = rig.membership.mark;
  await rig.start();

  const check = () => {
    const { membership, tunnel } = rig;
    const now = membership.mark;
    expect(now.epoch * 1e6 + now.version).toBeGreaterThanOrEqual(mark.epoch * 1e6 + mark.version);
    mark = now;
    expect(rig.state.readMark()).toEqual(now); // on the disk, not only known
    const peers = rig.peerIds();
    const config = membership.inForce;
    if (!config) {
      expect(peers).toEqual([]);
      return;
    }
    // Past the lifetime there is nobody; the watch looks every 250 ms.
    if (clock.boot() > config.expiresAt + 0.3) expect(peers).toEqual([]);
    const members = history.get(config.document.version)!;
    const expected = members.has('node-a') ? members : new Set<string>();
    for (const id of peers) expect(expected.has(id), `${id} is no member`).toBe(true);
    for (const id of peers) {
      const peer = tunnel.peers.get(toBase64(controller.nodes.get(id)!.record.wireguard))!;
      expect(peer.generation).toBe(config.document.epoch);
      const key = presharedKeyBytes(peer.presharedKey!);
      expect(key.some((byte) => byte !== 0)).toBe(true);
    }
  };
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 1000) {
      if (!controller.down) controller.heartbeat();
      await clock.advance(Math.min(1000, left));
      check();
    }
  };

  try {
    for (const one of steps) {
      switch (one.kind) {
        case 'pass':
          await pass(one.ms);
          break;
        case 'rotate':
          controller.rotate();
          remember();
          break;
        case 'deny':
        case 'admit': {
          const isHeard = rig.agent.streaming && !controller.mute;
          controller.rotate(() => {
            const node = controller.nodes.get(one.node)!;
            if (one.kind === 'admit' && !node.allowed) node.since = controller.epoch;
            node.allowed = one.kind === 'admit';
            remember();
          });
          await clock.settle();
          // A push that arrives is in force before anything else happens.
          if (isHeard && one.kind === 'deny') expect(rig.peerIds()).not.toContain(one.node);
          break;
        }
        case 'restart':
          await rig.stop();
          rig = agentRig(controller, clock, 'node-a', state, { pollMs: 4000 });
          await rig.start();
          break;
        case 'cut':
          controller.down = true;
          controller.endStreams();
          break;
        case 'heal':
          controller.down = false;
          break;
        case 'mute':
          controller.mute = true;
          break;
        case 'unmute':
          controller.mute = false;
          break;
        case 'endStreams':
          controller.endStreams();
          break;
        case 'suspend':
          clock.suspend(one.ms);
          await clock.advance(260); // the first look after waking up
          break;
        case 'clock':
          clock.wallError = one.ms;
          break;
        case 'slow':
          controller.delay = one.ms;
          break;
      }
      await clock.settle();
      check();
    }
    controller.down = false;
    controller.mute = false;
    controller.delay = 0;
    await pass(10_000);
    const members = history.get(controller.version)!;
    const expected = members.has('node-a')
      ? NODES.filter((id) => id !== 'node-a' && members.has(id))
      : [];
    expect(rig.peerIds()).toEqual(expected);
    expect(rig.membership.state).toBe(members.has('node-a') ? 'member' : 'denied');
  } finally {
    await rig.stop();
  }
}

test('whatever happens, only members of the newest known config are on the device, never past its lifetime, and the end is the right one', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), play), {
    numRuns: Number(process.env.MESHNET_RUNS ?? 30),
    endOnFailure: false,
  });
}, 120_000);
