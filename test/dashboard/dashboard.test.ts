import { afterEach, beforeEach, expect, test } from 'vitest';
import { controllerSource } from '../../src/dashboard/controller-source.ts';
import { type Dashboard, startDashboard } from '../../src/dashboard/dashboard.ts';
import { EpochLog } from '../../src/dashboard/epoch-log.ts';
import { MAX_READERS } from '../../src/dashboard/live.ts';
import { call, TestMesh } from '../controller/support/test-mesh.ts';

let mesh: TestMesh;
let dashboard: Dashboard;
let errors: unknown[];
beforeEach(async () => {
  errors = [];
  mesh = await TestMesh.start();
  const listen = { host: '127.0.0.1', port: 0 };
  dashboard = await startDashboard({ listen, onError: (error) => errors.push(error) });
});
afterEach(async () => {
  await dashboard.close();
  await mesh.stop();
});

const show = () => {
  const { services } = mesh.controller;
  const log = new EpochLog();
  services.spine.subscribe(log);
  dashboard.show(controllerSource(services, log, '1.2.3'));
};
const get = async (path: string, headers: Record<string, string> = {}) =>
  call(`${dashboard.url}${path}`, { headers });
const read = async (path: string) => JSON.parse((await get(path)).text);

test('until the controller has started it says so', async () => {
  const answer = await get('api/mesh');
  expect(answer.status).toBe(503);
  expect(JSON.parse(answer.text).detail).toBe('The controller is starting.');
  expect((await get('')).status).toBe(200);
  expect(errors).toEqual([]);
});

test('shows the mesh, the history of a node, and what happened', async () => {
  show();
  const a = await mesh.enrol('a', 1);
  await mesh.report(0.9, a);
  await mesh.rotate();
  await mesh.clock.advance(1000);
  await mesh.report(0.5, a);
  await mesh.rotate();
  const view = await read('api/mesh');
  expect(view.nodes).toMatchObject({ id: ['a'], allowed: [false], score: [0.5] });
  const history = await read('api/nodes/a');
  expect(history.scores.map((one: { score: number }) => one.score)).toEqual([0.5, 0.9]);
  expect(history.present).toMatchObject({ address: '10.10.0.2', suites: [{ passed: false }] });
  expect(history.verdicts.slice(0, 2)).toMatchObject([{ allowed: false }, { allowed: true }]);
  const { changes } = await read('api/changes');
  expect(changes).toMatchObject([
    { node: 'a', what: 'shut out' },
    { node: 'a', what: 'let in' },
  ]);
  expect((await read('api/epochs?limit=2')).epochs).toHaveLength(2);
  expect(await read('api/health')).toMatchObject({ version: '1.2.3', acceptedScores: 2 });
});

test('tells in plain text what happens to who asks for it so', async () => {
  show();
  await mesh.enrol('a', 1);
  const answer = await fetch(`${dashboard.url}api/live`, {
    headers: { 'accept-encoding': 'identity' },
  });
  expect(answer.headers.get('content-encoding')).toBeNull();
  const { value } = await answer.body!.getReader().read();
  expect(Buffer.from(value!).toString()).toMatch(/^event: mesh\ndata: \{.*"id":\["a"\]/);
});

test('a node that never was has no history, whatever its name', async () => {
  show();
  for (const name of ['b', '..%2f..%2fetc', '<img src=x>', 'x'.repeat(90)]) {
    expect(await read(`api/nodes/${encodeURIComponent(name)}`)).toMatchObject({
      present: null,
      scores: [],
      verdicts: [],
    });
  }
});

test.each(['evil.example', 'localhost.evil.example', '10.0.0.1:80', '127.0.0.1.evil.example'])(
  'asked as %s it answers nothing: that is a page of somebody else (DNS rebinding)',
  async (host) => {
    show();
    for (const path of ['', 'api/mesh', 'api/live', 'dashboard/page/main.ts']) {
      expect((await get(path, { host })).status).toBe(421);
    }
  },
);

test('cannot be framed, loads nothing from elsewhere, runs no script but its own', async () => {
  const { headers } = await get('');
  expect(headers['x-frame-options']).toBe('DENY');
  const policy = String(headers['content-security-policy']);
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toContain('unsafe');
  expect(policy.replaceAll("'self'", '')).not.toMatch(/https?:|\*/);
  expect(headers['access-control-allow-origin']).toBeUndefined();
});

test('every call is described: its name, who may, what it can be refused with', async () => {
  const { paths } = JSON.parse((await get('openapi.json')).text) as {
    paths: Record<string, Record<string, { operationId?: string; security?: object[] }>>;
  };
  const calls = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, call]) => [`${method} ${path}`, call] as const),
  );
  expect(calls.map(([name]) => name).sort()).toEqual([
    'delete /api/session',
    'get /api/changes',
    'get /api/epochs',
    'get /api/health',
    'get /api/live',
    'get /api/mesh',
    'get /api/nodes/{id}',
    'get /api/nodes/{id}/proof',
    'get /api/policy',
    'get /api/reach',
    'get /api/session',
    'get /log/checkpoint',
    'get /log/key',
    'post /api/policy/replay',
    'post /api/session',
    'put /api/policy',
  ]);
  for (const [name, call] of calls) {
    expect([name, call]).toEqual([
      name,
      expect.objectContaining({ operationId: expect.any(String), security: expect.any(Array) }),
    ]);
  }
});

test.each([
  ['a file that there is not', 'nothing', {}, 404],
  ['another method', 'api/mesh', { method: 'PUT' }, 405],
  ['a wrong query', 'api/epochs?limit=x', {}, 422],
  ['a page of somebody else', '', { headers: { host: 'evil.example' } }, 421],
  ['a change asked for from elsewhere', 'api/session', { method: 'DELETE', headers: {} }, 403],
  ['a body that is no JSON', 'api/session', { method: 'POST', body: '{' }, 400],
  ['a body that is too large', 'api/session', { method: 'POST', body: 'x'.repeat(300_000) }, 413],
  ['a path that is none', '%ff%zz', {}, 400],
  ['what fails', 'api/health', {}, 500],
])('a refusal is guarded as the page is, and kept nowhere: %s', async (_, path, asked, status) => {
  show();
  mesh.controller.services.documents.present = async () => {
    throw new Error('the disk is gone');
  };
  const headers = { origin: new URL(dashboard.url).origin };
  const answer = await call(`${dashboard.url}${path}`, { headers, ...asked });
  expect(answer.status).toBe(status);
  expect(answer.headers).toMatchObject({
    'content-type': expect.stringMatching(/^application\/problem\+json/),
    'content-security-policy': expect.stringContaining("frame-ancestors 'none'"),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
  });
  expect(answer.text).not.toContain('disk');
  expect(errors.map(String)).toEqual(
    status === 500 ? ['Error: GET /api/health: the disk is gone'] : [],
  );
});

test('what only reads is changed by no method; what comes from no page of ours is not heard', async () => {
  show();
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    for (const path of ['', 'api/mesh', 'api/nodes/a', 'api/live', 'v1/rotate', 'api/session']) {
      const url = `${dashboard.url}${path}`;
      expect((await call(url, { method })).status).toBe(403);
      const headers = { origin: new URL(dashboard.url).origin };
      if (path === 'api/session') continue;
      expect([404, 405]).toContain((await call(url, { method, headers })).status);
    }
  }
});

test.each(['cross-site', 'same-site', 'x'])(
  'what another page loads (%s) is not even made; who types the address gets it',
  async (site) => {
    show();
    for (const path of ['api/mesh', 'api/nodes/a/proof?epoch=1', 'api/live', 'log/checkpoint']) {
      const answer = await get(path, { 'sec-fetch-site': site });
      expect([path, answer.status]).toEqual([path, 403]);
      expect(answer.headers['cross-origin-resource-policy']).toBe('same-origin');
    }
    for (const own of ['same-origin', 'none']) {
      expect((await get('api/mesh', { 'sec-fetch-site': own })).status).toBe(200);
    }
  },
);

/** Follows the mesh for as long as somebody holds what this gives: with an unreachable answer its connection goes. */
async function follow(headers: Record<string, string> = {}) {
  const control = new AbortController();
  const answer = await fetch(`${dashboard.url}api/live`, { headers, signal: control.signal });
  return { answer, status: answer.status, leave: () => control.abort() };
}

test('only so many pages follow at once, also if they come together; who leaves makes room', async () => {
  show();
  const all = await Promise.all(Array.from({ length: MAX_READERS + 8 }, () => follow()));
  expect(all.filter(({ status }) => status === 503)).toHaveLength(8);
  for (const { leave } of all) leave();
  await expect.poll(async () => (await follow()).status).toBe(200);
});

test.each(['7', 'x'.repeat(8000), '-1', '1e99', '"><script>'])(
  'what a page says it had last is not asked about',
  async (last) => {
    show();
    expect((await follow({ 'last-event-id': last })).status).toBe(200);
  },
);

test('gives out nothing but the files of the page', async () => {
  for (const path of [
    'dashboard/page/main.ts/../../dashboard.ts',
    'dashboard/dashboard.ts',
    'record/../controller/psk.ts',
    '%2e%2e/dashboard.ts',
    'tsconfig.json',
    'lib/',
  ]) {
    expect((await get(path)).status).toBe(404);
  }
});

test('while the state is an old backup it gives out no checkpoint, as on the other port', async () => {
  show();
  expect((await get('log/checkpoint')).text).toMatch(/^aligned-meshnet/);
  const { governor } = mesh.controller.services;
  const current = governor.current!;
  governor.lost.learn({ epoch: current.epoch + 7, version: current.version + 7 }, current);
  const answer = await get('log/checkpoint');
  expect(answer.status).toBe(503);
  expect(JSON.parse(answer.text)).toMatchObject({ code: 'not_ready', detail: governor.notReady });
  expect(JSON.parse(answer.text).detail).toContain('run: meshnet controller restored');
  expect((await get('log/key')).status).toBe(200);
  expect(errors).toEqual([]);
});

test('limits are numbers within bounds', async () => {
  show();
  for (const limit of ['0', '-1', 'x', '1e9']) {
    const answer = await get(`api/epochs?limit=${limit}`);
    expect([answer.status, JSON.parse(answer.text).field]).toEqual([422, 'limit']);
  }
  expect(errors).toEqual([]);
});
