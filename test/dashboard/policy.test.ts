import { afterEach, beforeEach, expect, test } from 'vitest';
import { controllerSource } from '../../src/dashboard/controller-source.ts';
import { type Dashboard, startDashboard } from '../../src/dashboard/dashboard.ts';
import type { ReplayView } from '../../src/dashboard/documents.ts';
import { EpochLog } from '../../src/dashboard/epoch-log.ts';
import { call, problemOf, TestMesh } from '../controller/support/test-mesh.ts';
import type { TestNode } from '../controller/support/test-node.ts';

let mesh: TestMesh;
let dashboard: Dashboard;
let nodes: TestNode[];
beforeEach(async () => {
  const suites = [{ suite: 'alignment', threshold: 0.7, maxAgeS: 600 }];
  mesh = await TestMesh.start({ epochS: 60, suites, brake: null });
  dashboard = await startDashboard({
    listen: { host: '127.0.0.1', port: 0 },
    onError: (error) => {
      throw error;
    },
  });
  dashboard.show(controllerSource(mesh.controller.services, new EpochLog(), '1.2.3'));
  nodes = [await mesh.enrol('a', 1), await mesh.enrol('b', 2), await mesh.enrol('c', 3)];
});
afterEach(async () => {
  await dashboard.close();
  await mesh.stop();
});

/** One epoch of the mesh with these scores of a, b and c. */
async function epoch(...scores: number[]): Promise<void> {
  for (const [i, score] of scores.entries()) await mesh.report(score, nodes[i]!);
  await mesh.clock.advance(60_000);
}

/** A document that asks for `threshold` and cuts at once. */
const asking = (threshold: number) => ({
  version: 2,
  suites: [{ suite: 'alignment', threshold, max_age_s: 600 }],
  brake: null,
});

async function send(
  method: string,
  path: string,
  body: unknown,
  more: Record<string, string> = {},
) {
  const headers = { origin: new URL(dashboard.url).origin, ...more };
  return call(`${dashboard.url}${path}`, { method, body, headers });
}

async function signedIn(role: string): Promise<{ cookie: string }> {
  const made = await mesh.admin('POST', '/v1/access', { name: `an-${role}`, role, ttl_s: null });
  const { token } = JSON.parse(made.text) as { token: string };
  const { headers } = await send('POST', 'api/session', { token });
  return { cookie: headers['set-cookie']![0]!.split(';')[0]! };
}

test('shows the policy in force as a document that can be proposed again', async () => {
  const shown = JSON.parse((await call(`${dashboard.url}api/policy`)).text);
  expect(shown.policy).toMatchObject({ version: 2, suites: [{ threshold: 0.7 }] });
  await epoch(0.9, 0.9, 0.9);
  const answer = await send('POST', 'api/policy/replay', { document: shown.policy });
  const view = JSON.parse(answer.text) as ReplayView;
  expect(view.proposed).toEqual(view.inForce);
});

test('replays a proposed policy over the past: who would have been cut, and how often', async () => {
  for (const b of [0.9, 0.74, 0.9, 0.72, 0.9, 0.6, 0.9]) await epoch(0.95, b, 0.78);
  const answer = await send('POST', 'api/policy/replay', { document: asking(0.75) });
  expect(answer.status).toBe(200);
  const view = JSON.parse(answer.text) as ReplayView;
  expect(view).toMatchObject({ scores: 21, isAll: true, epochS: 60 });
  expect(view.epochs).toBeGreaterThanOrEqual(7);
  const cuts = (trial: 'inForce' | 'proposed') => view[trial].nodes.map((one) => one.cuts);
  expect(cuts('inForce')).toEqual([0, 1, 0]);
  expect(cuts('proposed')).toEqual([0, 3, 0]);
  expect(view.proposed.nodes[1]!.epochsOut).toBeGreaterThan(view.inForce.nodes[1]!.epochsOut);
  // The curve: the higher the threshold, the more are cut; at its own it is the trial itself.
  const { curve } = view.proposed;
  expect(curve.map((one) => one.threshold)).toContain(0.75);
  expect(curve.find((one) => one.threshold === 0.75)).toMatchObject({ cuts: 3, nodesCut: 1 });
  expect(curve.find((one) => one.threshold === 0.69)).toMatchObject({ cuts: 1 });
  expect(await mesh.members()).toEqual(['a', 'b', 'c']); // nothing happened
});

test('a document that cannot be is refused by the name of its field, and nothing changes', async () => {
  await epoch(0.9, 0.9, 0.9);
  const admin = await signedIn('admin');
  const wrong = { ...asking(0.75), suites: [{ suite: 'alignment', threshold: 7 }] };
  for (const [method, path, more] of [
    ['POST', 'api/policy/replay', {}],
    ['PUT', 'api/policy', { dry_run: false, confirmed: true }],
  ] as const) {
    const answer = await send(method, path, { document: wrong, ...more }, admin);
    expect(answer.status).toBe(422);
    expect(problemOf(answer)).toMatchObject({
      code: 'invalid_field',
      field: 'suites[0].threshold',
    });
  }
  expect(mesh.controller.services.settings.policy.suites[0]!.threshold).toBe(0.7);
});

test('only an admin sets it, by the operation that the command line uses, and by name', async () => {
  await epoch(0.95, 0.9, 0.72);
  const change = { document: asking(0.75), dry_run: false, confirmed: false };
  expect((await send('PUT', 'api/policy', change)).status).toBe(401);
  for (const role of ['view', 'operate']) {
    const answer = await send('PUT', 'api/policy', change, await signedIn(role));
    expect([role, answer.status]).toEqual([role, 403]);
  }
  const admin = await signedIn('admin');
  const from = { ...admin, origin: 'https://evil.example' };
  expect((await send('PUT', 'api/policy', change, from)).status).toBe(403);
  expect(mesh.controller.services.settings.policy.suites[0]!.threshold).toBe(0.7);
  const dry = await send('PUT', 'api/policy', { ...change, dry_run: true }, admin);
  expect(JSON.parse(dry.text)).toMatchObject({ cut: ['c'], members: 3, set: false });
  expect(JSON.parse((await send('PUT', 'api/policy', change, admin)).text)).toMatchObject({
    cut: ['c'],
    set: true,
  });
  const { recent } = mesh.controller.services;
  const told = recent.all.filter((one) => one.event === 'asked' && one.what === 'set_policy');
  expect(told).toMatchObject([{ by: 'an-admin' }]);
  await mesh.rotate();
  expect(await mesh.members()).toEqual(['a', 'b']);
});

test('what would cut more than the brake believes must be confirmed', async () => {
  await epoch(0.95, 0.72, 0.72);
  const admin = await signedIn('admin');
  const change = { document: asking(0.75), dry_run: false, confirmed: false };
  const refused = await send('PUT', 'api/policy', change, admin);
  expect(problemOf(refused).code).toBe('policy_over_brake');
  const answer = await send('PUT', 'api/policy', { ...change, confirmed: true }, admin);
  expect(JSON.parse(answer.text)).toMatchObject({ cut: ['b', 'c'], set: true });
});

test('one replay at a time; one that nobody waits for makes room', async () => {
  await epoch(0.95, 0.9, 0.72);
  const source = controllerSource(mesh.controller.services, new EpochLog(), '1.2.3');
  const gone = new AbortController();
  const first = source.replay(asking(0.75), gone.signal);
  const second = await source.replay(asking(0.75), new AbortController().signal);
  expect(second).toMatchObject({ ok: false, problem: { code: 'overloaded' } });
  gone.abort();
  expect(await first).toMatchObject({ ok: false });
  const third = await source.replay(asking(0.75), new AbortController().signal);
  expect(third).toMatchObject({ ok: true });
});

test('without a score there is nothing to replay', async () => {
  const answer = await send('POST', 'api/policy/replay', { document: asking(0.75) });
  expect([answer.status, problemOf(answer).detail]).toEqual([
    404,
    'No score is remembered to try a policy on.',
  ]);
});
