import { afterEach, expect, test } from 'vitest';
import type { ReachDocument, Reached } from '../../src/contract/reach.ts';
import { call, problemOf, TestMesh } from './support/test-mesh.ts';
import type { TestNode } from './support/test-node.ts';

let mesh: TestMesh;
afterEach(() => mesh.stop());

const put = (nodeId: string, body: unknown) =>
  call(`${mesh.url}/v1/nodes/${nodeId}/reach`, { method: 'PUT', body });
const answered = (node_id: string, fields: Partial<Reached> = {}) =>
  ({ node_id, echo: 'answered', echo_age_s: 0, rtt_ms: 0.4, ...fields }) as const;
const unanswered = (node_id: string) => ({ node_id, echo: 'unanswered', echo_age_s: 0 }) as const;

/** `one` tells of others now; the code of the refusal, or undefined. */
async function tell(
  one: TestNode,
  others: Parameters<TestNode['reach']>[2],
  fields: Partial<ReachDocument> = {},
  seed?: Uint8Array,
): Promise<string | undefined> {
  const envelope = one.reach(mesh.meshId, mesh.clock.now(), others, fields, seed);
  const answer = await put(one.nodeId, envelope);
  return answer.status === 200 ? undefined : problemOf(answer).code;
}

const reach = () => mesh.controller.services.reach;
const byNode = (...members: string[]) =>
  Object.fromEntries(reach().byNode((id) => members.includes(id)));

test('what a node tells of others is kept, told to nobody who asks for the epoch, and decides nothing', async () => {
  mesh = await TestMesh.start();
  const [a, b, c] = [await mesh.enrol('a', 1), await mesh.enrol('b', 2), await mesh.enrol('c', 3)];
  await mesh.report(0.9, a, b);
  await mesh.report(0.2, c);
  await mesh.rotate();
  await mesh.clock.advance(1000);
  const path = '192.0.2.7:51820';
  const told = await put(
    'a',
    a.reach(mesh.meshId, mesh.clock.now(), [
      answered('b', { path, handshake_age_s: 3 }),
      unanswered('c'),
    ]),
  );
  expect([told.status, JSON.parse(told.text)]).toEqual([
    200,
    { node_id: 'a', received_at: mesh.clock.now() },
  ]);
  expect(await tell(b, [unanswered('a'), unanswered('c')])).toBeUndefined();
  expect(await tell(c, [unanswered('a'), unanswered('b')])).toBeUndefined();
  expect(reach().toldBy('a')).toMatchObject([
    { by: 'a', node_id: 'b', echo: 'answered', rtt_ms: 0.4, path, handshake_age_s: 3 },
    { by: 'a', node_id: 'c', echo: 'unanswered', path: null },
  ]);
  expect(reach().toldOf('a', 10)).toMatchObject([{ by: 'c' }, { by: 'b', echo: 'unanswered' }]);
  // Of those who are out, nobody has an echo; what they say of members is not counted.
  expect(byNode('a', 'b')).toEqual({ a: 'none', b: 'all', c: 'none' });
  const before = await mesh.epoch();
  await mesh.rotate();
  expect((await mesh.epoch()).nodes.map((node) => node.allowed)).toEqual([true, true, false]);
  expect(JSON.stringify(before)).not.toContain(path);
});

test('nobody but the node itself tells what it has of others', async () => {
  mesh = await TestMesh.start();
  const [a, b] = [await mesh.enrol('a', 1), await mesh.enrol('b', 2)];
  await mesh.clock.advance(1000);
  const now = mesh.clock.now();
  const envelope = a.reach(mesh.meshId, now, [answered('b')]);
  const refusals: readonly [string, unknown, string][] = [
    ['b', envelope, 'wrong_node'],
    ['a', a.reach(mesh.meshId, now, [], {}, b.signing), 'envelope_signature'],
    ['a', a.reach(new Uint8Array(32), now, []), 'wrong_mesh'],
    ['a', a.score(mesh.meshId, 0.9, now), 'envelope_type'],
    [
      'a',
      { ...envelope, signatures: [...envelope.signatures, ...envelope.signatures] },
      'envelope_malformed',
    ],
    ['a', a.reach(mesh.meshId, now, [answered('b', { rtt_ms: -1 })]), 'invalid_field'],
    ['a', a.reach(mesh.meshId, now, [answered('b', { path: 'b.example:1' })]), 'invalid_field'],
    [
      'a',
      a.reach(
        mesh.meshId,
        now,
        Array.from({ length: 33 }, () => answered('b')),
      ),
      'invalid_field',
    ],
    ['a', a.reach(mesh.meshId, now + 31_000, []), 'observed_in_future'],
    ['a', a.reach(mesh.meshId, now - 61_000, []), 'invalid_field'],
    ['nobody', a.reach(mesh.meshId, now, [], { node_id: 'nobody' }), 'unknown_node'],
  ];
  for (const [node, body, code] of refusals) {
    expect([node, code, problemOf(await put(node, body)).code]).toEqual([node, code, code]);
  }
  expect(reach().latest(10)).toEqual([]);
  expect((await put('a', envelope)).status).toBe(200);
  expect(problemOf(await put('a', envelope)).code).toBe('observed_decreasing');
});

test('a node that tells all the time is listened to now and then; strangers it tells of are left out', async () => {
  mesh = await TestMesh.start();
  const [a, b] = [await mesh.enrol('a', 1), await mesh.enrol('b', 2)];
  await mesh.clock.advance(1000);
  const codes: (string | undefined)[] = [];
  for (let i = 0; i < 8; i++) {
    await mesh.clock.advance(10);
    codes.push(await tell(a, [answered('b'), answered('stranger'), answered('a')]));
  }
  expect(codes.filter((code) => code === undefined)).toHaveLength(4);
  expect(codes.at(-1)).toBe('too_many_requests');
  expect(await tell(b, [answered('a')])).toBeUndefined();
  expect(reach().toldBy('a')).toMatchObject([{ node_id: 'b' }]);
});

test('what was seen of a node before it came in or was shut out says nothing about it any more', async () => {
  mesh = await TestMesh.start();
  const [a, b] = [await mesh.enrol('a', 1), await mesh.enrol('b', 2)];
  await mesh.report(0.9, a, b);
  await mesh.rotate();
  await mesh.clock.advance(1000);
  await tell(a, [answered('b')]);
  expect(byNode('a', 'b')).toEqual({ b: 'all' });
  await mesh.report(0.1, b);
  await mesh.rotate();
  await mesh.clock.advance(5000);
  expect(byNode('a')).toEqual({});
  await tell(a, [answered('b', { echo_age_s: 30 })]); // an echo from before, told anew
  expect(byNode('a')).toEqual({});
  await mesh.clock.advance(5000);
  await tell(a, [unanswered('b')]);
  expect(byNode('a')).toEqual({ b: 'none' });
  await mesh.clock.advance(301_000);
  expect(reach().latest(10)).toEqual([]); // a has nothing to say any more
});

test('a node that was removed has said nothing', async () => {
  mesh = await TestMesh.start();
  const [a] = [await mesh.enrol('a', 1), await mesh.enrol('b', 2)];
  await mesh.clock.advance(1000);
  await tell(a, [answered('b')]);
  expect((await mesh.admin('DELETE', '/v1/nodes/a')).status).toBe(200);
  expect(reach().latest(10)).toEqual([]);
});
