import { afterEach, expect, test } from 'vitest';
import { SIGNATURE_TAGS } from '../../src/contract/http-signature.ts';
import { call, problemOf, TestMesh } from './support/test-mesh.ts';

let mesh: TestMesh;
afterEach(() => mesh.stop());

test('a node takes itself out with its own signature for that, and nobody else', async () => {
  mesh = await TestMesh.start();
  const a = await mesh.enrol('a', 1);
  const b = await mesh.enrol('b', 2);
  await mesh.report(0.9, a, b);
  await mesh.rotate();
  const url = (node: string) => `${mesh.url}/v1/nodes/${node}/leave`;
  const signed = (node: string, tag: keyof typeof SIGNATURE_TAGS = 'leave') =>
    a.signed(url(node), SIGNATURE_TAGS[tag], mesh.clock.now(), { method: 'POST' });
  const post = (node: string, headers: Record<string, string>) =>
    call(url(node), { method: 'POST', headers });
  expect(problemOf(await post('b', signed('b'))).code).toBe('wrong_node');
  expect((await post('a', {})).status).toBe(401);
  expect((await post('a', signed('a', 'endpoint'))).status).toBe(401);
  expect((await mesh.epoch()).nodes.map((node) => node.node_id)).toEqual(['a', 'b']);

  const { epoch } = await mesh.epoch();
  const left = await post('a', signed('a'));
  expect([left.status, JSON.parse(left.text)]).toMatchObject([200, { epoch: epoch + 1 }]);
  expect((await mesh.epoch()).nodes.map((node) => node.node_id)).toEqual(['b']);
  expect(problemOf(await post('a', signed('a'))).code).toBe('node_removed');
});
