import { afterEach, beforeEach, expect, test } from 'vitest';
import type { NodeState } from '../../src/agent/node-state.ts';
import { toBase64 } from '../../src/contract/encoding.ts';
import { SimClock } from '../lab/agent-clock.ts';
import { memoryState } from '../lab/memory-state.ts';
import { FakeController, keysFrom } from './support/fake-controller.ts';
import { agentRig, EPOCH_S } from './support/rig.ts';

let clock: SimClock;
let controller: FakeController;
let state: NodeState;
const rigs: ReturnType<typeof agentRig>[] = [];

beforeEach(() => {
  clock = new SimClock();
  controller = new FakeController(clock);
  controller.addNode('node-a', 1);
  controller.addNode('node-b', 2);
  controller.addNode('node-c', 3, { allowed: false });
  state = memoryState();
});

afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.stop();
});

async function started(options: Parameters<typeof agentRig>[4] = {}) {
  const rig = agentRig(controller, clock, 'node-a', state, options);
  rigs.push(rig);
  await rig.start();
  return rig;
}

/** Time passes, with the heartbeats of a controller that is there. */
async function pass(seconds: number): Promise<void> {
  for (let s = 0; s < seconds; s++) {
    if (!controller.down) controller.heartbeat();
    await clock.advance(1000);
  }
}

test('the device is emptied, then gets exactly the members, each with PSK, generation and address', async () => {
  const rig = await started();
  await clock.advance(100);
  expect(rig.tunnel.changes[0]).toEqual({ replacePeers: true, peers: [] });
  expect(rig.peerIds()).toEqual(['node-b']);
  const peer = rig.tunnel.peers.get(toBase64(controller.nodes.get('node-b')!.record.wireguard));
  expect(peer).toMatchObject({
    presharedKey: controller.psk('node-a', 'node-b'),
    generation: 1,
    expireBefore: 1,
    replaceAllowedIps: true,
    allowedIps: [{ prefix: { address: new Uint8Array([10, 10, 0, 3]), length: 32 } }],
    endpoint: { family: 4, address: new Uint8Array([192, 0, 2, 3]), port: 51820, scope: 0 },
  });
  expect(rig.membership.state).toBe('member');
  expect(rig.membership.roster.map((entry) => entry.node_id)).toEqual(['node-b', 'node-c']);
});

test('scores wait for the first config, and not for ever', async () => {
  controller.down = true;
  const rig = await started();
  const answered: string[] = [];
  void rig.agent.answered.then(() => answered.push('a'));
  await clock.advance(200);
  expect(answered).toEqual([]);
  controller.down = false;
  await clock.advance(3000);
  expect(rig.membership.state).toBe('member');
  expect(answered).toEqual(['a']);
  await rig.stop();
  controller.down = true;
  const other = await started();
  void other.agent.answered.then(() => answered.push('b'));
  await clock.advance(5000);
  expect(answered).toEqual(['a', 'b']);
});

test('a push removes at once, and the new config follows without waiting for the poll', async () => {
  const rig = await started();
  await pass(3);
  controller.delay = 50; // configs take a while; pushes do not
  const fetches = () =>
    controller.requests.filter(({ target }) => target.includes('config')).length;
  const before = fetches();
  controller.rotate(() => {
    controller.nodes.get('node-b')!.allowed = false;
  });
  await clock.settle();
  expect(rig.peerIds()).toEqual([]);
  expect(rig.named('removed')).toMatchObject([{ epoch: 2, version: 2, nodes: ['node-b'] }]);
  await clock.advance(200);
  expect(fetches()).toBe(before + 1);
  expect(rig.named('config').at(-1)).toMatchObject({ epoch: 2, members: [] });
});

test('rotation keeps the peer and changes PSK and generation; a readmitted peer loses old sessions', async () => {
  const rig = await started();
  await pass(1);
  controller.rotate();
  await pass(1);
  expect(rig.tunnel.changes.at(-1)).toMatchObject({
    peers: [{ generation: 2, expireBefore: 1, presharedKey: controller.psk('node-a', 'node-b') }],
  });
  expect(rig.tunnel.changes.at(-1)!.peers![0]).not.toHaveProperty('endpoint'); // roaming stays
  controller.rotate(() => {
    controller.nodes.get('node-c')!.allowed = true;
    controller.nodes.get('node-c')!.since = 3;
    controller.nodes.get('node-b')!.since = 3; // it was out and in again while we were not looking
  });
  await pass(1);
  expect(rig.peerIds()).toEqual(['node-b', 'node-c']);
  expect(rig.tunnel.changes.at(-1)!.peers).toMatchObject([
    { expireBefore: 3, generation: 3 },
    { expireBefore: 3, generation: 3 },
  ]);
});

test('a node that is denied drops all peers, and is let in again by a later config', async () => {
  const rig = await started();
  await pass(1);
  controller.rotate(() => {
    controller.nodes.get('node-a')!.allowed = false;
  });
  await clock.settle();
  expect(rig.peerIds()).toEqual([]);
  await pass(1);
  expect(rig.membership.state).toBe('denied');
  controller.rotate(() => {
    controller.nodes.get('node-a')!.allowed = true;
  });
  await pass(1);
  expect(rig.membership.state).toBe('member');
  expect(rig.peerIds()).toEqual(['node-b']);
});

test('polling alone finds a new epoch within interval and jitter', async () => {
  const rig = await started({ push: false });
  await pass(1);
  controller.rotate(() => {
    controller.nodes.get('node-b')!.allowed = false;
  });
  await pass(11);
  expect(rig.peerIds()).toEqual([]);
  expect(rig.named('removed')).toEqual([]);
  expect(controller.requests.every(({ target }) => !target.includes('stream'))).toBe(true);
});

test('a stream without heartbeats is half-open: it is given up and polling goes on', async () => {
  const rig = await started();
  await pass(1);
  expect(controller.openStreams).toBe(1);
  expect(rig.agent.streaming).toBe(true);
  controller.mute = true;
  await clock.advance(6500);
  const failure = { call: 'stream', ok: false, code: 'stream_silent' };
  expect(rig.named('controller')[0]).toMatchObject(failure);
  controller.rotate(() => {
    controller.nodes.get('node-b')!.allowed = false;
  });
  await clock.advance(11_000);
  expect(rig.peerIds()).toEqual([]);
});

test('a stream that comes back fetches what was missed meanwhile', async () => {
  const rig = await started();
  await pass(1);
  controller.endStreams();
  controller.refuseStreams = true;
  controller.rotate(() => {
    controller.nodes.get('node-b')!.allowed = false;
  });
  controller.refuseStreams = false;
  await clock.advance(600); // long before the next poll
  expect(rig.peerIds()).toEqual([]);
});

test('the lifetime counts from when the request was sent, and a 304 does not extend it', async () => {
  controller.lifetimeS = 30;
  controller.delay = 3000;
  const rig = await started();
  await pass(4);
  expect(rig.membership.state).toBe('member');
  expect(rig.membership.inForce!.expiresAt).toBeCloseTo(1000 + 30, 1);
  await pass(8); // the stream's opening and the next poll were answered with 304 or a new config
  controller.down = true;
  controller.endStreams();
  const expiresAt = rig.membership.inForce!.expiresAt;
  await clock.advance((expiresAt - clock.boot()) * 1000 - 10);
  expect(rig.peerIds()).toEqual(['node-b']);
  await clock.advance(260);
  expect(rig.peerIds()).toEqual([]);
  expect(rig.membership.state).toBe('expired');
  expect(rig.named('fail_closed')).toHaveLength(1);
});

test('304 answers are asked for only while most of the lifetime is left', async () => {
  await started({ push: false });
  await pass(120);
  const configs = controller.requests.filter(({ target }) => target.includes('config'));
  const conditional = configs.filter(({ etag }) => etag !== undefined);
  expect(conditional.length).toBeGreaterThan(5);
  expect(configs.length - conditional.length).toBeGreaterThanOrEqual(2); // and renewed in time
});

test('after failing closed the node recovers by itself within one poll of the return', async () => {
  controller.lifetimeS = 30;
  const rig = await started();
  await pass(5);
  controller.down = true;
  controller.endStreams();
  await pass(600);
  expect(rig.membership.state).toBe('expired');
  expect(rig.named('fail_closed')).toHaveLength(1);
  controller.down = false;
  await pass(11);
  expect(rig.membership.state).toBe('member');
  expect(rig.peerIds()).toEqual(['node-b']);
  expect(rig.named('recovered')).toHaveLength(1);
});

test('while the controller is away the calls back off, but not beyond the poll interval', async () => {
  const rig = await started();
  await pass(2);
  controller.down = true;
  controller.endStreams();
  const before = controller.requests.length;
  await pass(100);
  const calls = controller.requests.length - before;
  expect(calls).toBeGreaterThan(16);
  expect(calls).toBeLessThan(60);
  const failures = rig.named('controller').filter((event) => !event.ok);
  expect(failures.map(({ call }) => call).sort()).toEqual(['config', 'stream']); // said once each
});

test.each([-600_000, 600_000])(
  'a wall clock that is wrong by %i ms changes nothing',
  async (error) => {
    clock.wallError = error;
    const rig = await started();
    await pass(2);
    expect(rig.membership.state).toBe('member');
    expect(Math.abs(rig.client.controllerTime() - clock.trueWall())).toBeLessThan(2000);
    clock.wallError = -error;
    await pass(400);
    expect(rig.membership.state).toBe('member');
    expect(rig.named('fail_closed')).toEqual([]);
  },
);

test('after a suspend all sessions are expired and the config is fetched at once', async () => {
  const rig = await started();
  await pass(2);
  const before = controller.requests.length;
  clock.suspend(40_000);
  await clock.advance(300);
  expect(rig.tunnel.expired).toEqual([2]);
  expect(rig.named('resumed')).toMatchObject([{ suspended_s: 40 }]);
  expect(controller.requests.length).toBeGreaterThan(before);
  expect(rig.peerIds()).toEqual(['node-b']);
});

test('a suspend longer than the lifetime fails closed before anything is sent', async () => {
  controller.lifetimeS = 30;
  const rig = await started();
  await pass(2);
  controller.down = true;
  controller.endStreams();
  clock.suspend(31_000);
  await clock.advance(260);
  expect(rig.membership.state).toBe('expired');
  expect(rig.peerIds()).toEqual([]);
});

test('an answer to another request is ignored, also by a node that has forgotten everything but its mark', async () => {
  const rig = await started();
  await pass(1);
  controller.replay = controller.lastAnswer;
  controller.rotate();
  await clock.advance(500);
  expect(rig.counters.get('config_ignored_wrong_nonce')).toBeGreaterThan(0);
  await rig.stop();
  const restarted = await started();
  await pass(5);
  expect(restarted.membership.state).toBe('starting');
  expect(restarted.peerIds()).toEqual([]);
  controller.replay = undefined;
  await pass(11);
  expect(restarted.membership.state).toBe('member');
});

test('an older epoch or version is ignored, also after a restart', async () => {
  controller.epoch = 5;
  controller.version = 9;
  const rig = await started();
  await pass(1);
  expect(rig.state.readMark()).toEqual({ epoch: 5, version: 9 });
  await rig.stop();
  controller.version = 8;
  controller.nodes.get('node-c')!.allowed = true;
  const restarted = await started();
  await pass(5);
  expect(restarted.peerIds()).toEqual([]);
  expect(restarted.named('ignored')[0]).toMatchObject({ what: 'config', reason: 'older' });
});

test('a controller that gives out something older is shown the newest event that it signed', async () => {
  controller.epoch = 5;
  controller.version = 9;
  const rig = await started();
  await pass(1);
  const newest = controller.event([]);
  controller.push(newest);
  await pass(1);
  expect(controller.seen).toEqual([]);
  controller.epoch = 4;
  controller.version = 8;
  controller.push(controller.event([]));
  rig.agent.pollNow();
  await pass(1);
  expect(rig.named('ignored').at(-1)).toMatchObject({ what: 'config', reason: 'older' });
  expect(controller.seen[0]).toEqual(newest);
});

test('a config fetched before a push arrived cannot undo the push', async () => {
  const rig = await started();
  await pass(1);
  controller.delay = 100;
  controller.replay = undefined;
  rig.agent.pollNow();
  await clock.advance(50); // the request is under way
  const { nodes } = controller;
  controller.epoch++;
  controller.version++;
  controller.push(controller.event(['node-b']));
  await clock.settle();
  expect(rig.peerIds()).toEqual([]);
  controller.epoch--; // the answer under way is the old epoch's
  controller.version--;
  expect(nodes.get('node-b')!.allowed).toBe(true);
  await clock.advance(2000);
  expect(rig.peerIds()).toEqual([]);
  expect(rig.state.readMark()).toEqual({ epoch: 2, version: 2 });
});

test('pushes that are forged, old or for another mesh do nothing', async () => {
  const rig = await started();
  await pass(1);
  const foreign = new Uint8Array(32).fill(77);
  controller.version = 7;
  controller.push(controller.event(['node-b'], {}, foreign));
  controller.push(controller.event(['node-b'], { mesh_id: toBase64(foreign) }));
  controller.push(controller.event(['node-b'], { epoch: 1, version: 1 }));
  controller.push({ ...controller.event(['node-b']), payload: 'AAAA' });
  controller.version = 1;
  await clock.settle();
  expect(rig.peerIds()).toEqual(['node-b']);
  expect(rig.counters.snapshot()).toMatchObject({
    push_ignored_bad_signature: 1,
    push_ignored_wrong_mesh: 1,
    push_ignored_old: 1,
    push_ignored_malformed: 1,
  });
  expect(rig.agent.streaming).toBe(true);
});

test("configs that are not the controller's, not for us, or contradict themselves are ignored", async () => {
  const zero = toBase64(new Uint8Array(32));
  const table: [string, () => void][] = [
    [
      'bad_signature',
      () => {
        controller.signWith = new Uint8Array(32).fill(1);
      },
    ],
    [
      'wrong_mesh',
      () => {
        controller.tamper = (d) => ({ ...d, mesh_id: zero });
      },
    ],
    [
      'wrong_audience',
      () => {
        controller.tamper = (d) => ({ ...d, audience: 'node-b' });
      },
    ],
    [
      'malformed',
      () => {
        controller.tamper = (d) => ({ ...d, lifetime_s: 0 });
      },
    ],
    [
      'malformed',
      () => {
        controller.tamper = (d) => ({ ...d, surprise: 1 }) as never;
      },
    ],
    [
      'inconsistent',
      () => {
        controller.tamper = (d) => ({ ...d, allowed: false });
      },
    ],
    [
      'inconsistent',
      () => {
        controller.tamper = (d) => ({ ...d, sealed_psks: null });
      },
    ],
    [
      'inconsistent',
      () => {
        controller.tamper = (d) => ({
          ...d,
          peers: d.peers.map((peer) => ({ ...peer, tunnel_address: '10.10.1.3' })),
        });
      },
    ],
    [
      'inconsistent',
      () => {
        controller.tamper = (d) => ({ ...d, peers: [...d.peers, ...d.peers] });
      },
    ],
    [
      'inconsistent',
      () => {
        controller.tamper = (d) => ({ ...d, tunnel_prefix: '10.0.0.0/8' });
      },
    ],
    [
      'too_far',
      () => {
        controller.tamper = (d) => ({ ...d, epoch: Number.MAX_SAFE_INTEGER });
      },
    ],
    [
      'bad_key_record',
      () => {
        const { envelope } = controller.nodes.get('node-c')!;
        controller.tamper = (d) => ({
          ...d,
          peers: d.peers.map((peer) => ({ ...peer, record: envelope })),
        });
      },
    ],
    [
      'bad_seal',
      () => {
        controller.tamper = (d) => ({ ...d, version: d.version + 1 });
      },
    ],
    [
      'bad_seal',
      () => {
        controller.tamper = (d) => ({
          ...d,
          peers: d.peers.map((peer) => ({ ...peer, since_epoch: 0 })),
        });
      },
    ],
    [
      'zero_psk',
      () => {
        controller.psk = () => new Uint8Array(32);
      },
    ],
  ];
  for (const [reason, sabotage] of table) {
    const { psk } = FakeController.prototype;
    controller.tamper = (document) => document;
    controller.signWith = controller.seed;
    sabotage();
    const rig = await started({ push: false });
    expect(rig.membership.state, reason).toBe('starting');
    expect(rig.peerIds()).toEqual([]);
    expect(rig.named('ignored').at(0)?.reason).toBe(reason);
    expect(rig.state.readMark()).toEqual({ epoch: 0, version: 0 });
    await rig.stop();
    controller.psk = psk;
  }
});

test('a member whose keys change is refused until it has been out of the mesh for a lifetime', async () => {
  const rig = await started();
  await pass(1);
  const other = controller.nodes.get('node-b')!;
  controller.rotate(() => {
    controller.nodes.delete('node-b');
    controller.addNode('node-b', 9, { address: other.address });
  });
  await pass(1);
  expect(rig.peerIds()).toEqual([]); // neither the old key nor the new one
  expect(rig.named('key_changed')).toMatchObject([{ node: 'node-b' }]);
  await rig.stop();
  const again = await started();
  await pass(1);
  expect(again.peerIds()).toEqual([]); // pins outlive the process
  const stranger = controller.nodes.get('node-b')!;
  controller.rotate(() => controller.nodes.delete('node-b'));
  await pass(1);
  // Epochs that are counted up, or said to be short, are no time.
  controller.lifetimeS = 0.1;
  for (let i = 0; i < 1000; i++) controller.rotate();
  controller.lifetimeS = 180;
  await pass(20);
  controller.rotate(() => controller.nodes.set('node-b', stranger));
  await pass(1);
  expect(again.peerIds()).toEqual([]);
  controller.rotate(() => controller.nodes.delete('node-b'));
  await pass(1);
  await pass(3 * EPOCH_S + 15);
  controller.rotate(() => controller.nodes.set('node-b', { ...stranger, allowed: false }));
  await pass(11);
  controller.rotate(() => controller.nodes.set('node-b', stranger));
  await pass(1);
  expect(again.peerIds()).toEqual(['node-b']);
  // It is said all the same, and the wait begins anew for the key after that.
  expect(again.named('key_changed').at(-1)).toMatchObject({ node: 'node-b', accepted: true });
  const told = again.named('key_changed').length;
  await pass(11);
  expect(again.named('key_changed')).toHaveLength(told);
  expect(keysFrom(9).signing).toEqual(stranger.keys.signing);
});

test('a device that refuses a change still loses whoever must go', async () => {
  const rig = await started();
  await pass(1);
  controller.nodes.get('node-c')!.since = 2;
  rig.tunnel.refuse = (change) => (change.peers ?? []).some((peer) => !peer.remove);
  controller.rotate(() => {
    controller.nodes.get('node-b')!.allowed = false;
    controller.nodes.get('node-c')!.allowed = true;
  });
  await pass(1);
  expect(rig.peerIds()).toEqual([]);
  expect(rig.named('device_error').length).toBeGreaterThan(0);
  rig.tunnel.refuse = () => false;
  await pass(11);
  expect(rig.peerIds()).toEqual(['node-c']);
});

test('an epoch number that nobody could get past again bricks no node', async () => {
  const rig = await started();
  await pass(1);
  const { mark } = rig.membership;
  controller.push(controller.event([], { epoch: Number.MAX_SAFE_INTEGER }));
  await pass(1);
  expect(rig.named('ignored').at(-1)).toMatchObject({ what: 'push', reason: 'too_far' });
  controller.tamper = (d) => ({ ...d, epoch: d.epoch + 1e9 });
  controller.rotate();
  await pass(1);
  expect(rig.named('ignored').at(-1)).toMatchObject({ what: 'config', reason: 'too_far' });
  expect(rig.membership.mark.epoch).toBeLessThanOrEqual(mark.epoch + 1);
  controller.tamper = (d) => d;
  controller.rotate();
  await pass(1);
  expect(rig.membership.state).toBe('member');
  controller.epoch += 1_000_000; // a restored controller jumps, and is followed
  controller.rotate();
  await pass(1);
  expect(rig.membership.mark.epoch).toBeGreaterThan(1_000_000);
});

test('handshakes are dated by the controller, and never earlier than before a restart', async () => {
  clock.wallError = -86_400_000; // booted a day behind
  const rig = await started();
  await pass(1);
  const times = () => rig.tunnel.changes.map((change) => change.earliestTime ?? 0);
  expect(Math.max(...times())).toBeGreaterThan(clock.trueWall() - 10_000);
  await rig.stop();
  const ahead = clock.trueWall() + 3_600_000; // it was ahead once
  await state.writeHandshakeDate(ahead);
  const again = await started();
  await pass(1);
  expect(again.tunnel.changes.some((change) => change.earliestTime === ahead)).toBe(true);
});

test('a stream that only beats while pushes are withheld does not count as one', async () => {
  const rig = await started();
  await pass(1);
  controller.rotate();
  await pass(1);
  expect(rig.agent.streaming).toBe(true);
  const { push } = controller;
  controller.push = () => {}; // somebody on the way lets only heartbeats through
  controller.rotate();
  await pass(11); // the poll has heard of it
  expect(rig.membership.mark.version).toBe(controller.version);
  rig.agent.streaming;
  await pass(6);
  expect(rig.agent.streaming).toBe(false);
  controller.push = push;
  controller.rotate();
  await pass(1);
  expect(rig.agent.streaming).toBe(true);
});

test('a config over a slow link is waited for, one that stands still is not', async () => {
  const rig = await started({ push: false });
  await pass(1);
  const { fetch } = controller;
  const slow =
    (bytesPerSecond: number): typeof fetch =>
    async (url, init) => {
      const answer = await fetch(url, init);
      if (answer.status !== 200) return answer;
      const bytes = new Uint8Array(await answer.arrayBuffer());
      let at = 0;
      const body = new ReadableStream<Uint8Array>({
        async pull(out) {
          await clock.sleep(1000, init.signal!);
          if (init.signal!.aborted) return out.error(new Error('aborted'));
          out.enqueue(bytes.subarray(at, at + bytesPerSecond));
          at += bytesPerSecond;
          if (at >= bytes.length) out.close();
        },
      });
      return new Response(body, { headers: answer.headers });
    };
  rig.link.fetch = slow(300);
  controller.rotate();
  await pass(60);
  expect(rig.membership.mark.version).toBe(controller.version);
  rig.link.fetch = slow(1);
  controller.rotate();
  await pass(60);
  expect(rig.named('controller')).toContainEqual(
    expect.objectContaining({ call: 'config', ok: false, code: 'timeout' }),
  );
});
