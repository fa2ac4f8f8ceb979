import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ConfigDocument } from '../../src/contract/config.ts';
import { toBase64 } from '../../src/contract/encoding.ts';
import { type Envelope, PAYLOAD_TYPES, signEnvelope } from '../../src/contract/envelope.ts';
import { type HeaderDocument, headerHash } from '../../src/contract/epoch/header.ts';
import { announceRestoredIn } from '../../src/controller/restored.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { payloadOf, TestMesh } from '../controller/support/test-mesh.ts';
import { TestNode } from '../controller/support/test-node.ts';
import { controllerSeed, type Lie, MeshAgent, temporaryDirectory, until } from './mesh-agent.ts';

const crypto = defaultProvider();
let mesh: TestMesh;
let nodes: TestNode[];
let directory: ReturnType<typeof temporaryDirectory>;
const agents: MeshAgent[] = [];

beforeEach(async () => {
  mesh = await TestMesh.start();
  directory = temporaryDirectory();
  nodes = [];
  for (const [i, name] of ['a', 'b', 'c'].entries()) nodes.push(await mesh.enrol(name, i + 1));
  await mesh.report(0.9, ...nodes);
  await mesh.rotate();
});

afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.end();
  await mesh.stop();
  directory.remove();
});

/** An agent of node a that polls only, with its state in a directory of its own. */
async function started({ push = false, of = 0 } = {}): Promise<MeshAgent> {
  const agent = new MeshAgent(mesh, nodes[of]!, join(directory.path, `node-${of}`), { push });
  agents.push(agent);
  return agent.start();
}

const newest = (): Envelope => mesh.controller.services.governor.current!.header!.envelope;

/** Another header in the place of `of`, properly signed. */
function forged(of: Envelope, fields: Partial<HeaderDocument>): Envelope {
  const document = { ...payloadOf<HeaderDocument>(of), ...fields };
  return signEnvelope(crypto, controllerSeed(mesh), PAYLOAD_TYPES.header, document);
}

const hashOf = (envelope: Envelope): string =>
  toBase64(headerHash(crypto, Buffer.from(envelope.payload, 'base64')));

/** A controller that serves these headers, and configs that name the newest of them. */
function telling(
  headers: { readonly newest: Envelope; readonly at?: (epoch: number) => Envelope | undefined },
  change: (document: ConfigDocument) => object = () => ({}),
): Lie {
  return async (target, response) => {
    if (target.startsWith('/v1/header')) {
      const epoch = /epoch=(\d+)/.exec(target)?.[1];
      const found = epoch === undefined ? headers.newest : headers.at?.(Number(epoch));
      if (found) return Response.json(found);
      return Response.json({ code: 'header_unknown', title: 'x' }, { status: 404 });
    }
    if (!target.startsWith('/v1/config') || response.status !== 200) return response;
    const document = payloadOf<ConfigDocument>((await response.json()) as Envelope);
    const { epoch, version } = payloadOf<HeaderDocument>(headers.newest);
    const header = { ...document.header!, hash: hashOf(headers.newest) };
    const lie = { ...document, epoch, version, header, ...change(document) };
    return Response.json(signEnvelope(crypto, controllerSeed(mesh), PAYLOAD_TYPES.config, lie));
  };
}

/** Denied: the seal, which also binds epoch and version, does not come into it. */
const denied = (document: ConfigDocument): object => ({
  allowed: false,
  peers: [],
  sealed_psks: null,
  header: { hash: document.header!.hash, entry: null },
});

/** Answers are not 304, so that a lie has something to be in. */
async function pollAnew(agent: MeshAgent): Promise<void> {
  await agent.clock.advance(61_000); // past a third of the lifetime no ETag is sent
  await agent.rest();
  await agent.poll();
}

test('an honest controller: every epoch is followed, and nothing is said about it', async () => {
  const agent = await started({ push: true });
  expect(agent.peers).toEqual(['b', 'c']);
  for (let i = 0; i < 3; i++) {
    await mesh.rotate();
    await agent.poll();
    expect(agent.agent.headers.held!.envelope).toEqual(newest());
  }
  await mesh.report(0.1, nodes[2]!);
  await mesh.rotate();
  await agent.poll();
  expect(agent.peers).toEqual(['b']);
  expect(agent.events.filter((event) => /ignored|split|leap/.test(event.event))).toEqual([]);
});

test('who slept for some epochs asks for the headers between, and takes them only in order', async () => {
  const agent = await started();
  const before = agent.agent.headers.held!.document.epoch;
  for (let i = 0; i < 5; i++) await mesh.rotate();
  await agent.poll();
  expect(agent.agent.headers.held!.document.epoch).toBe(before + 5);
  expect(agent.requests.filter((path) => path === '/v1/header')).toHaveLength(1 + 1 + 4);
  expect(agent.named('ignored')).toEqual([]);
});

describe('two memberships for one epoch', () => {
  test('the second is kept, reported with both headers, and not acted upon; the node fails closed', async () => {
    const agent = await started();
    const other = forged(newest(), { issued_at: 1 });
    agent.lie = telling({ newest: other });
    await pollAnew(agent);
    expect(agent.named('split_view')).toEqual([
      expect.objectContaining({ held: newest(), other, epoch: 2, version: 2 }),
    ]);
    expect(agent.named('ignored').at(-1)).toMatchObject({ what: 'config', reason: 'no_header' });
    expect(agent.peers).toEqual(['b', 'c']); // what was in force stays for its time
    const file = join(directory.path, 'node-0', 'split-views.json');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual([{ held: newest(), other }]);
    await pollAnew(agent);
    await pollAnew(agent);
    expect(agent.named('split_view')).toHaveLength(1);
    await agent.clock.advance(1000);
    await until('it has failed closed', () => agent.membership.state === 'expired');
    expect(agent.peers).toEqual([]);
    await agent.poll();
    expect(agent.peers).toEqual([]); // with nothing in force either
    expect(agent.counters.get('split_views')).toBeGreaterThan(1);
  });

  test('pushed on the stream: the same', async () => {
    const agent = await started({ push: true });
    await until('the stream is open', () => agent.agent.streaming);
    const other = forged(newest(), { members_root: toBase64(new Uint8Array(32)) });
    const { streams } = mesh.controller.services;
    streams.publish({ epoch: 2, version: 2, removed: [] }, other);
    await until('it was judged', () => agent.named('split_view').length === 1);
    expect(agent.agent.headers.held!.envelope).toEqual(newest());
  });

  test('after a restart of the node it still knows what it was told', async () => {
    await (await started()).end();
    const agent = new MeshAgent(mesh, nodes[0]!, join(directory.path, 'node-0'), { push: false });
    agents.push(agent);
    const other = forged(newest(), { issued_at: 1 });
    agent.lie = telling({ newest: other });
    await agent.start();
    await until('it was judged', () => agent.named('split_view').length === 1);
    expect(agent.peers).toEqual([]);
  });
});

test('a header is skipped: what lies between contradicts it, and that is a split view', async () => {
  const agent = await started();
  const [first] = [newest()];
  await mesh.rotate();
  const second = newest();
  await mesh.rotate();
  const third = forged(newest(), { previous: hashOf(first) }); // as if the second had never been
  agent.lie = telling({ newest: third, at: (epoch) => (epoch === 3 ? second : undefined) });
  await agent.poll();
  expect(agent.named('split_view')).toMatchObject([{ held: second, other: third }]);
  expect(agent.membership.inForce!.document.epoch).toBe(2);
});

test('a header is withheld: nothing after it is taken', async () => {
  const agent = await started();
  await mesh.rotate();
  await mesh.rotate();
  agent.lie = telling({ newest: newest() });
  await agent.poll();
  expect(agent.counters.get('header_ignored_unlinked')).toBe(1);
  expect(agent.membership.inForce!.document.epoch).toBe(2);
  agent.lie = (_target, response) => response;
  await agent.poll();
  expect(agent.membership.inForce!.document.epoch).toBe(4);
});

test('an old header is replayed: it is not taken, nor is a config that names it', async () => {
  const agent = await started();
  const old = newest();
  await mesh.rotate();
  await agent.poll();
  agent.lie = telling({ newest: old });
  await pollAnew(agent);
  expect(agent.named('ignored').at(-1)).toMatchObject({ reason: 'older' });
  agent.lie = telling({ newest: old }, (document) => ({
    ...denied({ ...document, header: { hash: hashOf(old), entry: null } }),
    epoch: 4,
    version: 4,
  }));
  await pollAnew(agent);
  expect(agent.counters.get('header_older')).toBeGreaterThan(0);
  expect(agent.named('ignored').at(-1)).toMatchObject({ reason: 'no_header' });
  expect(agent.agent.headers.held!.document.epoch).toBe(3);
});

test.each([
  ['so far that the headers between cannot be had', 1000, 'header_ignored_unlinked'],
  ['farther than any restored controller', 200_000_000, 'header_ignored_invalid'],
])('the epoch jumps %s: not taken', async (_how, by, counter) => {
  const agent = await started();
  const { epoch, version } = payloadOf<HeaderDocument>(newest());
  const far = { epoch: epoch + by, version: version + by };
  const leap = forged(newest(), { ...far, previous: null });
  agent.lie = telling({ newest: leap }, (document) => ({
    ...denied({ ...document, header: { hash: hashOf(leap), entry: null } }),
    epoch: epoch + 1, // what a config says is another matter
    version: version + 1,
  }));
  await pollAnew(agent);
  expect(agent.counters.get(counter)).toBeGreaterThan(0);
  expect(agent.membership.inForce!.document.epoch).toBe(epoch);
});

test('after a restored backup the leap is taken, and said with both headers', async () => {
  const agent = await started();
  const before = newest();
  const { port } = mesh.controller;
  await mesh.restart({ listen: { host: '127.0.0.1', port } }, 0, (state) =>
    announceRestoredIn(state, mesh.clock.now()),
  );
  await mesh.report(0.9, ...nodes);
  await agent.poll();
  expect(agent.named('header_leap')).toMatchObject([{ held: before, taken: newest() }]);
  expect(agent.peers).toEqual(['b', 'c']);
});

describe('a config that does not fit its header', () => {
  const fixed = { sealed_psks: null, peers: [] };
  test.each<[string, string, (document: ConfigDocument) => object]>([
    ['nobody is listed: that is not "no change"', 'wrong_members', () => fixed],
    [
      'one endpoint is another',
      'wrong_members',
      ({ peers: [first, ...rest] }) => ({ peers: [{ ...first!, endpoint: null }, ...rest] }),
    ],
    [
      'one has been a member for longer',
      'bad_seal', // the seal says so, too
      ({ peers: [first, ...rest] }) => ({ peers: [{ ...first!, since_epoch: 1 }, ...rest] }),
    ],
    [
      'the keys of one are those of somebody else, signed by themselves',
      'bad_seal',
      ({ peers: [first, ...rest] }) => ({
        peers: [{ ...first!, record: new TestNode('b', 99).record(mesh.meshId) }, ...rest],
      }),
    ],
    [
      'others are told other keys of this node',
      'inconsistent',
      ({ header }) => {
        const entry = Buffer.from(header!.entry!, 'base64');
        entry[10]! ^= 1;
        return { header: { ...header!, entry: entry.toString('base64') } };
      },
    ],
    ['it names no header', 'no_header', () => ({ header: null })],
  ])('%s', async (_what, reason, change) => {
    const agent = await started();
    agent.lie = telling({ newest: newest() }, change);
    await pollAnew(agent);
    expect(agent.named('ignored').at(-1)).toMatchObject({ what: 'config', reason });
    expect(agent.peers).toEqual(['b', 'c']);
  });

  test('one member is missing from it, seal and all: its root would be another', async () => {
    const agent = await started();
    await mesh.rotate();
    const honest = newest();
    await mesh.report(0.1, nodes[2]!);
    await mesh.rotate(); // really without c
    const { document } = agent.agent.headers.held!;
    const without = forged(newest(), {
      members_root: document.members_root, // while everybody is told that c is in
      count: document.count,
    });
    agent.lie = telling({ newest: without, at: () => honest });
    await agent.poll();
    expect(agent.named('ignored').at(-1)).toMatchObject({ reason: 'wrong_members' });
    expect(agent.membership.inForce!.document.epoch).toBe(2);
  });
});
