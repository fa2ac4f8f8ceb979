import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AccessAnswer, Role } from '../../src/contract/access.ts';
import { SIGNATURE_TAGS } from '../../src/contract/http-signature.ts';
import { NEEDED } from '../../src/controller/operations/needed-roles.ts';
import { call, problemOf, TestMesh } from './support/test-mesh.ts';
import type { TestNode } from './support/test-node.ts';

interface Described {
  readonly operationId: string;
  readonly security: readonly object[];
}
interface Route {
  readonly method: string;
  readonly path: string;
  readonly operation: string;
  readonly isAdministration: boolean;
}

let mesh: TestMesh;
let node: TestNode;
/** All that not everybody may call, as the controller describes itself. */
let routes: Route[];

beforeAll(async () => {
  mesh = await TestMesh.start({ epochOnLoopback: false });
  node = await mesh.enrol('a', 1);
  const { text } = await call(`${mesh.url}/openapi.json`);
  const { paths } = JSON.parse(text) as { paths: Record<string, Record<string, Described>> };
  routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, { security }]) => security.length > 0)
      .map(([method, { operationId: operation, security }]) => ({
        method: method.toUpperCase(),
        path,
        operation,
        isAdministration: !security.some((one) => 'requestSignature' in one),
      })),
  );
  expect(routes.length).toBeGreaterThan(25);
});
afterAll(() => mesh.stop());

/** The route, asked with what it does not take: in the path, the query, and the body. */
const wrongly = ({ path }: Route) =>
  `${mesh.url}${path.replace(/\{\w+\}/g, 'NOT%20ONE')}?limit=x&follow=x&old=x&since=x&epoch=x&seen_port=x&endpoint=x`;

const BODIES: readonly (readonly [string, string | undefined])[] = [
  ['application/json', '{"ttl_s": "many", "role": 7}'],
  ['application/json', '{"half'],
  ['application/json', '['.repeat(70_000)],
  ['text/csv', 'a,b'],
  ['application/json', undefined],
];

async function refusals(
  route: Route,
  headers: (url: string) => Record<string, string>,
): Promise<string[]> {
  const said: string[] = [];
  for (const [type, body] of BODIES) {
    if (body !== undefined && route.method === 'GET') continue;
    const url = wrongly(route);
    const length = { 'content-length': String(Buffer.byteLength(body ?? '')) };
    const all = { 'content-type': type, ...length, ...headers(url) };
    const answer = await call(url, { method: route.method, headers: all, body });
    said.push(`${route.method} ${route.path} ${answer.status} ${problemOf(answer).code}`);
  }
  return said;
}

test('who shows nothing is told so on every route, whatever else is wrong with the request', async () => {
  const before = mesh.dump();
  for (const route of routes) {
    for (const said of await refusals(route, () => ({}))) {
      expect(said).toMatch(/ (401 signature_missing|403 not_authorized)$/);
    }
  }
  expect(mesh.dump()).toBe(before);
});

test('who shows what is good for nothing, or signed for another purpose, is told that first', async () => {
  for (const route of routes) {
    const tokens = await refusals(route, () => ({ authorization: 'Bearer access.x' }));
    for (const said of tokens) expect(said).toMatch(/ (401|403) \w+$/);
    const signed = await refusals(route, (url) =>
      node.signed(url, SIGNATURE_TAGS.lease, mesh.clock.now(), { method: 'POST' }),
    );
    for (const said of signed) expect(said).toMatch(/ (401|403|429) \w+$/);
  }
});

test('a role that is too little is told so first, on every route that needs more', async () => {
  const holds = async (role: Role) => {
    const granted = await mesh.admin('POST', '/v1/access', { name: role, role, ttl_s: null });
    return (JSON.parse(granted.text) as AccessAnswer).token;
  };
  const needed = new Map<string, Role>(
    Object.entries({
      rotate: NEEDED.rotate,
      releaseBrake: NEEDED.releaseBrake,
      setPolicy: NEEDED.setPolicy,
      createToken: NEEDED.issueToken,
      withdrawToken: NEEDED.withdrawToken,
      removeNode: NEEDED.removeNode,
      resetSequences: NEEDED.resetSequences,
      grantAccess: NEEDED.issueAccess,
      listAccess: NEEDED.listAccess,
      revokeAccess: NEEDED.revokeAccess,
    }),
  );
  const changing = routes.filter((one) => one.isAdministration && one.method !== 'GET');
  for (const { operation } of changing) expect([...needed.keys()]).toContain(operation);
  const [view, operate] = [await holds('view'), await holds('operate')];
  const before = mesh.dump();
  for (const route of routes.filter((one) => needed.has(one.operation))) {
    const short = needed.get(route.operation) === 'admin' ? [view, operate] : [view];
    for (const token of short) {
      for (const said of await refusals(route, () => ({ authorization: `Bearer ${token}` }))) {
        expect(said).toMatch(/ 403 not_authorized$/);
      }
      await mesh.clock.advance(10_000);
    }
  }
  expect(mesh.dump()).toBe(before);
});

test('who may ask is told what is wrong with the request', async () => {
  const answer = await mesh.admin('POST', '/v1/tokens', { node_id: null, ttl_s: 'many' });
  expect([answer.status, problemOf(answer).field]).toEqual([422, 'ttl_s']);
});
