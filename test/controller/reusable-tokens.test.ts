import { afterEach, expect, test } from 'vitest';
import type { TokenRequest } from '../../src/contract/admin.ts';
import type { StampedEvent } from '../../src/controller/events.ts';
import type { GivenSettings } from '../../src/controller/settings.ts';
import { call, problemOf, TestMesh } from './support/test-mesh.ts';
import { TestNode } from './support/test-node.ts';

let mesh: TestMesh;
let events: StampedEvent[];
afterEach(() => mesh.stop());

const MINUTE = 60_000;
/** A lifetime and two epochs, in epochs of a minute: what the default keeps a name for. */
const RESERVED = 5 * MINUTE;

async function started(settings: GivenSettings = {}): Promise<void> {
  events = [];
  mesh = await TestMesh.start(settings);
  await mesh.restart({ onEvent: (event) => void events.push(event) });
}

async function issue(request: Partial<TokenRequest>): Promise<string> {
  const body = { node_id: null, ttl_s: 86_400, ...request };
  const answer = await mesh.admin('POST', '/v1/tokens', body);
  expect(answer.status).toBe(201);
  return (JSON.parse(answer.text) as { token: string }).token;
}

let seeds = 100;
async function join(token: string, nodeId: string, node = new TestNode(nodeId, seeds++)) {
  const body = node.enrolment(token);
  const answer = await call(`${mesh.url}/v1/nodes`, { method: 'POST', body });
  const code = answer.status === 201 ? 'enrolled' : problemOf(answer).code;
  if (code === 'enrolled') await mesh.configCall(node);
  return { code, node };
}

const codes = async (token: string, ...names: string[]) =>
  Promise.all(names.map(async (name) => (await join(token, name)).code));

async function nodes(): Promise<string[]> {
  return (await mesh.epoch()).nodes.map((one) => one.node_id);
}

test('a token is good for so many nodes, and its secret goes with the last', async () => {
  await started();
  const token = await issue({ uses: 2 });
  const outcomes = await codes(token, 'a', 'b', 'c');
  expect(outcomes.sort()).toEqual(['enrolled', 'enrolled', 'token_used']);
  expect(mesh.dump()).not.toContain(Buffer.from(token.split('.')[1]!, 'base64url').toString('hex'));
});

test('one without a count is good until it expires, and not after', async () => {
  await started();
  const token = await issue({ uses: null, ttl_s: 120 });
  expect(await codes(token, 'a', 'b', 'c')).toEqual(['enrolled', 'enrolled', 'enrolled']);
  const { text } = await mesh.admin('GET', '/v1/tokens');
  expect(JSON.parse(text)).toMatchObject({ tokens: [{ uses: null }] });
  await mesh.clock.advance(2 * MINUTE);
  expect((await join(token, 'd')).code).toBe('token_expired');
});

test('it is good for the names and the group that it says, and a use is not lost on others', async () => {
  await started({ groups: [{ name: 'gpu', nodes: ['web-1'], suites: [{ suite: 'alignment' }] }] });
  const web = await issue({ names: 'web-*', uses: 1 });
  expect(await codes(web, 'db-1')).toEqual(['token_wrong_node']);
  expect(await codes(web, 'web-2')).toEqual(['enrolled']);
  const gpu = await issue({ group: 'gpu', uses: null });
  expect(await codes(gpu, 'web-3', 'web-1')).toEqual(['token_wrong_node', 'enrolled']);
  const body = { node_id: null, ttl_s: 60, group: 'cpu' };
  expect(problemOf(await mesh.admin('POST', '/v1/tokens', body))).toMatchObject({ field: 'group' });
});

test('a node whose answer was lost asks again without taking a second use', async () => {
  await started();
  const token = await issue({ uses: 2 });
  const { node } = await join(token, 'a');
  expect((await join(token, 'a', node)).code).toBe('enrolled');
  expect((await join(token, 'a')).code).toBe('node_exists');
  expect((await join(token, 'b')).code).toBe('enrolled');
  expect((await join(token, 'a', node)).code).toBe('enrolled');
});

test('ephemeral nodes that fall silent leave with one epoch, and their names are free again', async () => {
  await started();
  const token = await issue({ names: 'pod-*', uses: null, silence_s: 300 });
  const pods = await Promise.all(['pod-1', 'pod-2', 'pod-3'].map((name) => join(token, name)));
  await mesh.enrol('stays', 1);
  for (let minute = 1; minute <= 5; minute++) {
    await mesh.clock.advance(MINUTE);
    await mesh.configCall(pods[0]!.node);
  }
  await mesh.clock.advance(MINUTE);
  expect(await nodes()).toEqual(['pod-1', 'stays']);
  const lapsed = events.flatMap((one) => (one.event === 'lapsed' ? [one] : []));
  expect(lapsed.map((one) => one.node)).toEqual(['pod-2', 'pod-3']);
  expect(new Set(lapsed.map((one) => one.epoch)).size).toBe(1);
  expect((await mesh.configCall(pods[1]!.node)).status).toBe(403);
  expect((await join(token, 'pod-2')).code).toBe('node_id_reserved');
  await mesh.clock.advance(RESERVED);
  expect((await join(token, 'pod-2')).code).toBe('enrolled');
});

test('the controller’s own absence makes nobody silent', async () => {
  await started();
  const token = await issue({ uses: null, silence_s: 120 });
  await join(token, 'pod-1');
  await mesh.restart({}, 60 * MINUTE);
  await mesh.clock.advance(MINUTE);
  expect(await nodes()).toEqual(['pod-1']);
  await mesh.clock.advance(2 * MINUTE);
  expect(await nodes()).toEqual([]);
});
