import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { toBase64 } from '../../src/contract/encoding.ts';
import { type Envelope, PAYLOAD_TYPES, signEnvelope } from '../../src/contract/envelope.ts';
import type { HeaderDocument } from '../../src/contract/epoch/header.ts';
import type { KeysAnswer } from '../../src/contract/epoch/keys-answer.ts';
import type { GivenSettings } from '../../src/controller/settings.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { presharedKeyBytes } from '../../src/device/preshared-key.ts';
import { payloadOf, TestMesh } from '../controller/support/test-mesh.ts';
import type { TestNode } from '../controller/support/test-node.ts';
import { controllerSeed, type Lie, MeshAgent, temporaryDirectory, until } from './mesh-agent.ts';

const crypto = defaultProvider();
let mesh: TestMesh;
let nodes: TestNode[];
let agents: MeshAgent[];
let directory: ReturnType<typeof temporaryDirectory>;

/** A mesh of three agents whose keys are sealed for all at once. */
async function start(settings: GivenSettings = {}, push = false): Promise<void> {
  mesh = await TestMesh.start(settings);
  nodes = [];
  for (const [i, name] of ['a', 'b', 'c'].entries()) nodes.push(await mesh.enrol(name, i + 1));
  await mesh.report(0.9, ...nodes);
  agents = nodes.map(
    (node, i) => new MeshAgent(mesh, node, join(directory.path, `${i}`), { push }),
  );
  for (const agent of agents) await agent.start();
  await mesh.rotate();
  await pollAll();
}

beforeEach(() => {
  directory = temporaryDirectory();
});

afterEach(async () => {
  for (const agent of agents) await agent.end();
  await mesh.stop();
  directory.remove();
});

const peer = (i: number) => ({
  nodeId: nodes[i]!.nodeId,
  wireguard: nodes[i]!.publicKeys.wireguard,
});

async function pollAll(): Promise<void> {
  for (const agent of agents) await agent.poll();
}

const header = (): HeaderDocument =>
  payloadOf<HeaderDocument>(mesh.controller.services.governor.current!.header!.envelope);

/** The pre-shared key that the device of `of` has for `peer`, in hex. */
function pskOf(of: number, peer: number): string | undefined {
  const key = toBase64(nodes[peer]!.publicKeys.wireguard);
  const psk = agents[of]!.tunnel.peers.get(key)?.presharedKey;
  return psk && Buffer.from(presharedKeyBytes(psk)).toString('hex');
}

describe.each([
  ['pairwise', 256],
  ['group', 0],
])('kind %s', (kind, pairwiseUpTo) => {
  test('both ends of a pair have one key, each pair its own, each epoch another', async () => {
    await start({ pairwiseUpTo });
    expect(header().keys).toBe(kind);
    const seen = new Set<string>();
    for (let epoch = 0; epoch < 3; epoch++) {
      for (const [i, j] of [
        [0, 1],
        [0, 2],
        [1, 2],
      ] as const) {
        expect(pskOf(i, j)).toMatch(/^[0-9a-f]{64}$/);
        expect(pskOf(i, j)).toBe(pskOf(j, i));
        seen.add(pskOf(i, j)!);
      }
      await mesh.rotate();
      await pollAll();
    }
    expect(seen.size).toBe(9);
    expect(agents.flatMap((agent) => agent.named('ignored'))).toEqual([]);
  });

  test('the controller cannot know any of them: what it hands out makes none without a static key', async () => {
    await start({ pairwiseUpTo });
    const { views, seals, governor } = mesh.controller.services;
    const { epoch, keys } = governor.servable!;
    await seals.of(views.of(epoch)!, keys);
    const told = [keys.group(), ...keys.pairs(peer(0), [peer(1)])];
    for (const base of told) expect(Buffer.from(base).toString('hex')).not.toBe(pskOf(0, 1));
  });

  test("who is denied has no peers, and is nobody's; who comes back has new keys", async () => {
    await start({ pairwiseUpTo });
    await mesh.report(0.1, nodes[2]!);
    await mesh.rotate();
    await pollAll();
    expect(agents.map((agent) => agent.peers)).toEqual([['b'], ['a'], []]);
    expect(agents[2]!.membership.state).toBe('denied');
    expect(agents[2]!.membership.roster.map((one) => [one.node_id, one.allowed])).toEqual([
      ['a', true],
      ['b', true],
    ]);
    expect(agents[0]!.membership.roster.map((one) => [one.node_id, one.allowed])).toEqual([
      ['b', true],
      ['c', false],
    ]);
    await mesh.report(0.9, nodes[2]!);
    await mesh.rotate();
    await pollAll();
    expect(agents.map((agent) => agent.peers)).toEqual([
      ['b', 'c'],
      ['a', 'c'],
      ['a', 'b'],
    ]);
    expect(pskOf(0, 2)).toBe(pskOf(2, 0));
  });
});

test('up to the limit each pair has a base of its own, above it all have one; one member alone has none', async () => {
  await start({ pairwiseUpTo: 2 });
  const seen = new Set<string>();
  const inForce = async (kind: string, ...members: number[]): Promise<void> => {
    await mesh.rotate();
    await pollAll();
    expect(header()).toMatchObject({ keys: kind, count: members.length });
    for (const i of members) {
      for (const j of members.filter((other) => other !== i)) {
        expect(pskOf(i, j)).toBe(pskOf(j, i));
        seen.add(pskOf(i, j)!);
      }
    }
  };
  await inForce('group', 0, 1, 2);
  await mesh.report(0.1, nodes[2]!);
  await inForce('pairwise', 0, 1);
  await mesh.report(0.9, nodes[2]!);
  await inForce('group', 0, 1, 2);
  await mesh.report(0.1, nodes[1]!, nodes[2]!);
  await inForce('pairwise', 0);
  expect(agents.map((agent) => agent.peers)).toEqual([[], [], []]);
  await mesh.report(0.9, nodes[1]!);
  await inForce('pairwise', 0, 1);
  expect(seen.size).toBe(3 + 1 + 3 + 1);
  expect(agents.flatMap((agent) => agent.named('ignored'))).toEqual([]);
});

test('pushed keys are put in force without asking for anything', async () => {
  await start({}, true);
  for (const agent of agents) await until('the stream is open', () => agent.agent.streaming);
  await mesh.rotate();
  await pollAll(); // all are in step
  const { size } = await mesh.controller.services.store.logState();
  for (const agent of agents) {
    await until('all of the log is proven', () => agent.agent.log.size === size);
  }
  const asked = agents.map((agent) => agent.requests.length);
  const { epoch } = header();
  await mesh.rotate();
  for (const agent of agents) {
    await until(
      'the epoch is in force',
      () => agent.membership.inForce?.document.epoch === epoch + 1,
    );
  }

  expect(agents.map((agent) => agent.requests.length)).toEqual(asked);
  expect(pskOf(0, 1)).toBe(pskOf(1, 0));
});

test('a push extends nothing: without a lease the node fails closed at its time', async () => {
  await start({}, true);
  const [agent] = agents as [MeshAgent];
  await until('the stream is open', () => agent.agent.streaming);
  const { expiresAt } = agent.membership.inForce!;
  agent.lie = (target, response) =>
    target.startsWith('/v1/lease') ? new Response('{}', { status: 503 }) : response;
  for (let i = 0; i < 2; i++) {
    const { epoch } = header();
    await mesh.rotate();
    await until(
      'the push is in force',
      () => agent.membership.inForce?.document.epoch === epoch + 1,
    );
    expect(agent.membership.inForce!.expiresAt).toBe(expiresAt);
  }
  await agent.clock.advance(185_000);
  await until('it has failed closed', () => agent.membership.state === 'expired');
  expect(agent.peers).toEqual([]);
});

test('a lease that answers another request, or an older one again, extends nothing', async () => {
  await start();
  const [agent] = agents as [MeshAgent];
  let kept: string | undefined;
  const replay: Lie = async (target, response) => {
    if (!target.startsWith('/v1/lease')) return response;
    kept ??= await response.text();
    return new Response(kept);
  };
  agent.lie = replay;
  await agent.poll(); // this one is still its own
  const { expiresAt } = agent.membership.inForce!;
  await agent.clock.advance(5000);
  await agent.poll();
  expect(agent.named('ignored').at(-1)).toMatchObject({ what: 'lease', reason: 'wrong_nonce' });
  expect(agent.membership.inForce!.expiresAt).toBe(expiresAt);
});

test('a mesh with one member of protocol 1 has its keys in configs; without it, in seals again', async () => {
  await start();
  expect(header().keys).toBe('pairwise');
  const old = await mesh.enrol('old', 9);
  await mesh.report(0.9, ...nodes, old);
  await mesh.rotate();
  await pollAll();
  expect(header().keys).toBe('config');
  expect(agents[0]!.peers).toEqual(['b', 'c', 'old']);
  expect(pskOf(0, 1)).toBe(pskOf(1, 0));
  const config = await mesh.config(old);
  expect(config.peers.map((peer) => peer.node_id)).toEqual(['a', 'b', 'c']);
  expect((await mesh.admin('DELETE', '/v1/nodes/old')).status).toBe(200);
  await pollAll();
  expect(header().keys).toBe('pairwise');
  expect(agents[0]!.peers).toEqual(['b', 'c']);
  expect(agents.flatMap((agent) => agent.named('ignored'))).toEqual([]);
});

test('after a restart of a node the membership comes in chunks', async () => {
  await start();
  await agents[0]!.end();
  const again = new MeshAgent(mesh, nodes[0]!, join(directory.path, '0'), { push: false });
  agents[0] = again;
  await again.start();
  expect(again.peers).toEqual(['b', 'c']);
  expect(again.requests.filter((path) => path.startsWith('/v1/pieces/'))).toHaveLength(2);
  expect(pskOf(0, 1)).toBe(pskOf(1, 0));
});

test('who moves is told of by its endpoint alone; who was away in between comes whole', async () => {
  await start();
  const [agent] = agents as [MeshAgent];
  const deltas: KeysAnswer['delta'][] = [];
  agent.lie = async (target, response) => {
    if (target.startsWith('/v1/keys')) {
      deltas.push(((await response.clone().json()) as KeysAnswer).delta);
    }
    return response;
  };
  const endpoint = '192.0.2.99:51821';
  await mesh.controller.services.store.setPlaces('b', { endpoint }, 0);
  await mesh.rotate();
  await agent.poll();
  const moved = [{ node_id: 'b', endpoint }];
  expect(deltas).toEqual([{ since: header().version - 1, removed: [], moved, entries: '' }]);
  expect(agent.membership.peers.get('b')!.endpoint).toBe(endpoint);
  await mesh.report(0.1, nodes[2]!);
  await mesh.rotate();
  await mesh.report(0.9, nodes[2]!);
  await mesh.rotate();
  await agent.poll();
  expect(deltas[1]).toMatchObject({ since: header().version - 2, removed: [], moved: [] });
  expect(deltas[1]!.entries.length).toBeGreaterThan(200);
  expect(agent.peers).toEqual(['b', 'c']);
  expect(agent.requests.filter((path) => path.startsWith('/v1/pieces/'))).toHaveLength(2);
});

describe('a controller that lies about what it hands out', () => {
  /** Changes the answer with the keys of the epoch. */
  const keysLie =
    (change: (answer: KeysAnswer) => object): Lie =>
    async (target, response) => {
      if (!target.startsWith('/v1/keys') || response.status !== 200) return response;
      return Response.json(change((await response.json()) as KeysAnswer));
    };
  const flipped = (text: string): string => {
    const bytes = Buffer.from(text, 'base64');
    bytes[bytes.length - 1]! ^= 1;
    return bytes.toString('base64');
  };
  const resealed = (answer: KeysAnswer, fields: object): Envelope =>
    signEnvelope(crypto, controllerSeed(mesh), PAYLOAD_TYPES.seals, {
      ...payloadOf<object>(answer.seals),
      ...fields,
    });

  test.each<[string, string, (answer: KeysAnswer) => object]>([
    [
      'another sealed base',
      'bad_seal',
      (answer) => ({ ...answer, sealed: flipped(answer.sealed) }),
    ],
    ['another proof', 'bad_seal', (answer) => ({ ...answer, proof: answer.proof.map(flipped) })],
    ['no proof', 'bad_seal', (answer) => ({ ...answer, proof: [] })],
    [
      'seals of another header',
      'bad_seal',
      (answer) => ({
        ...answer,
        seals: resealed(answer, { header: toBase64(new Uint8Array(32)) }),
      }),
    ],
    [
      'seals of another kind',
      'bad_seal',
      (answer) => ({ ...answer, seals: resealed(answer, { kind: 'group' }) }),
    ],
    [
      'a change that leaves the new ones out, and no chunks',
      'wrong_members',
      (answer) => ({ ...answer, delta: answer.delta && { ...answer.delta, entries: '' } }),
    ],
    ['neither a change nor chunks', 'wrong_members', (answer) => ({ ...answer, delta: null })],
    ['nothing', 'malformed', () => ({})],
  ])('%s: not taken', async (_what, reason, change) => {
    await start();
    const [agent] = agents as [MeshAgent];
    const { epoch } = header();
    const d = await mesh.enrol('d', 4);
    await mesh.report(0.9, ...nodes, d);
    mesh.controller.services.presence.add('d', 2);
    await mesh.rotate();
    agent.lie = keysLie((answer) => change({ ...answer, chunks: null }));
    await agent.poll();
    expect(agent.named('ignored').at(-1)).toMatchObject({ what: 'lease', reason });
    expect(agent.membership.inForce!.document.epoch).toBe(epoch);
    agent.lie = (_target, response) => response;
    await agent.poll();
    expect(agent.peers).toEqual(['b', 'c', 'd']);
  });
});
