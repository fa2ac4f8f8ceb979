import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type AccessAnswer, parseAccessToken, type Role } from '../../src/contract/access.ts';
import type { StampedEvent } from '../../src/controller/events.ts';
import { settled } from './support/sim-clock.ts';
import { type Answer, call, problemOf, TestMesh } from './support/test-mesh.ts';

let mesh: TestMesh;
let events: StampedEvent[];
beforeEach(async () => {
  mesh = await TestMesh.start({ epochOnLoopback: false });
  events = [];
  await mesh.restart({ onEvent: (event) => void events.push(event) });
  await mesh.enrol('a', 1);
});
afterEach(() => mesh.stop());

async function grant(role: Role, name: string = role, ttl_s: number | null = null) {
  const answer = await mesh.admin('POST', '/v1/access', { name, role, ttl_s });
  expect(answer.status).toBe(201);
  return JSON.parse(answer.text) as AccessAnswer;
}

type Asked = readonly [method: string, path: string, body?: unknown];

function ask(token: string | undefined, [method, path, body]: Asked): Promise<Answer> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return call(`${mesh.url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
}

const CHANGE = { document: {}, dry_run: false, confirmed: true };
/** Every call that needs a role, the weakest that may make it, and what it answers then. */
const CALLS: readonly (readonly [Role, number, ...Asked])[] = [
  ['view', 200, 'GET', '/v1/epoch'],
  ['view', 200, 'GET', '/status.json'],
  ['view', 200, 'GET', '/metrics'],
  ['view', 200, 'GET', '/log/checkpoint'],
  ['view', 200, 'GET', '/log/key'],
  ['view', 200, 'GET', '/log/tile/0/000.p/1'],
  ['view', 200, 'GET', '/log/consistency?old=1&size=1'],
  ['view', 200, 'GET', '/log/verdicts/1'],
  ['view', 200, 'GET', '/log/evidence/1'],
  ['view', 200, 'GET', '/v1/header'],
  ['view', 200, 'GET', '/v1/policy'],
  ['view', 200, 'GET', '/v1/events'],
  ['view', 200, 'GET', '/v1/tokens'],
  ['view', 200, 'GET', '/v1/whoami'],
  ['operate', 200, 'POST', '/v1/rotate'],
  ['operate', 409, 'POST', '/v1/brake/release'],
  ['operate', 201, 'POST', '/v1/tokens', { node_id: null, ttl_s: 60 }],
  ['operate', 404, 'DELETE', '/v1/tokens/AAAAAAAAAAAA'],
  ['operate', 204, 'POST', '/v1/nodes/a/reset-sequence'],
  ['operate', 404, 'DELETE', '/v1/nodes/nobody'],
  ['admin', 200, 'PUT', '/v1/policy', CHANGE],
  ['admin', 201, 'POST', '/v1/access', { name: 'next', role: 'view', ttl_s: 60 }],
  ['admin', 200, 'GET', '/v1/access'],
  ['admin', 404, 'DELETE', '/v1/access/AAAAAAAAAAAA'],
];

test('each call is open from one role on, and to nobody without a token', async () => {
  const tokens = { view: await grant('view'), operate: await grant('operate') };
  const all = Object.entries({ ...tokens, admin: await grant('admin') });
  const order = all.map(([role]) => role);
  for (const [needed, status, ...asked] of CALLS) {
    const what = asked.slice(0, 2).join(' ');
    expect([401, 403], what).toContain((await ask(undefined, asked)).status);
    for (const [role, { token }] of all) {
      if (role === 'admin' || order.indexOf(role) < order.indexOf(needed)) continue;
      expect([what, role, (await ask(token, asked)).status]).toEqual([what, role, status]);
    }
    for (const [role, { token }] of all) {
      if (order.indexOf(role) >= order.indexOf(needed)) continue;
      const before = mesh.dump();
      const answer = await ask(token, asked);
      expect([what, role, answer.status]).toEqual([what, role, 403]);
      expect(problemOf(answer).code).toBe('not_authorized');
      expect(mesh.dump()).toBe(before);
    }
    if (needed !== 'admin') continue;
    expect([what, (await ask(tokens && all[2]![1].token, asked)).status]).toEqual([what, status]);
  }
});

test('a token that is wrong, expired or revoked opens nothing', async () => {
  const { token, id } = await grant('admin');
  const [kind, , secret, mesh_id] = token.split('.');
  const other = await grant('view', 'other', 60);
  const wrong = [
    'x',
    token.slice(0, -1),
    [kind, other.id, secret, mesh_id].join('.'),
    [kind, 'AAAAAAAAAAAA', secret, mesh_id].join('.'),
    await mesh.token(),
  ];
  for (const text of wrong) {
    const answer = await ask(text, ['POST', '/v1/rotate']);
    expect([text, answer.status, problemOf(answer).code]).toEqual([
      text,
      401,
      'access_token_invalid',
    ]);
  }
  expect((await ask(other.token, ['GET', '/v1/epoch'])).status).toBe(200);
  await mesh.clock.advance(60_000);
  expect((await ask(other.token, ['GET', '/v1/epoch'])).status).toBe(401);
  expect((await ask(token, ['DELETE', `/v1/access/${id}`])).status).toBe(204);
  expect((await ask(token, ['GET', '/v1/access'])).status).toBe(401);
});

test('a token is not believed that anybody on the way could read', async () => {
  const { token } = await grant('admin');
  const headers = { authorization: `Bearer ${token}`, via: '1.1 proxy' };
  const answer = await call(`${mesh.url}/v1/rotate`, { method: 'POST', headers });
  expect([answer.status, problemOf(answer).code]).toEqual([403, 'tls_required']);
  await mesh.restart({ proxy: '127.0.0.1' });
  const by = (scheme: string) =>
    call(`${mesh.url}/v1/whoami`, {
      headers: { ...headers, 'x-forwarded-for': '192.0.2.7', 'x-forwarded-proto': scheme },
    });
  expect(problemOf(await by('http')).code).toBe('tls_required');
  expect(JSON.parse((await by('https')).text)).toEqual({ name: 'admin', role: 'admin' });
});

test('its secret is nowhere but in the answer', async () => {
  const { token } = await grant('admin');
  const { secret } = parseAccessToken(token)!;
  const dump = mesh.dump();
  for (const encoding of ['base64', 'base64url', 'hex'] as const) {
    const text = Buffer.from(secret).toString(encoding);
    expect(dump).not.toContain(text);
    expect(mesh.log.join('')).not.toContain(text);
    expect(JSON.stringify(events)).not.toContain(text);
  }
  expect((await mesh.admin('GET', '/v1/access')).text).not.toContain(token.split('.')[2]!);
});

test('who guesses is turned away, and a token that is used too much waits', async () => {
  const { token } = await grant('view');
  vi.spyOn(performance, 'now').mockReturnValue(1e6); // what budgets grow by
  const guess = token.replace(/\.[^.]+\.([^.]+)$/, `.${'A'.repeat(43)}.$1`);
  const codes = new Set<string>();
  for (let i = 0; i < 110; i++) codes.add(problemOf(await ask(guess, ['GET', '/v1/whoami'])).code);
  expect(codes).toEqual(new Set(['access_token_invalid', 'too_many_requests']));
  await mesh.restart();
  const statuses = new Set<number>();
  for (let i = 0; i < 130; i++) statuses.add((await ask(token, ['GET', '/v1/whoami'])).status);
  expect(statuses).toEqual(new Set([200, 429]));
  vi.restoreAllMocks();
});

test('every change says who asked for it, as an event and in the record', async () => {
  const { token, id } = await grant('admin', 'ci');
  events.length = 0;
  const { size } = await mesh.controller.services.store.logState();
  const asked: Asked[] = [
    ['POST', '/v1/rotate'],
    ['POST', '/v1/nodes/a/reset-sequence'],
    ['PUT', '/v1/policy', CHANGE],
    ['DELETE', '/v1/nodes/a'],
    ['POST', '/v1/access', { name: 'next', role: 'view', ttl_s: 60 }],
    ['DELETE', `/v1/access/${id}`],
  ];
  for (const one of asked) expect((await ask(token, one)).status).toBeLessThan(300);
  const said = events.flatMap((one) => (one.event === 'asked' ? [one] : []));
  const expected = [
    ['rotate', null],
    ['reset_sequences', 'a'],
    ['set_policy', null],
    ['remove', 'a'],
    ['grant_view', 'next'],
    ['revoke', 'ci'],
  ];
  expect(said.map(({ by, what, about }) => [by, what, about])).toEqual(
    expected.map((one) => ['ci', ...one]),
  );
  const now = (await mesh.controller.services.store.logState()).size;
  const bundle = await mesh.controller.services.store.logTile({
    level: 'entries',
    index: 0,
    width: now,
  });
  const text = Buffer.from(bundle!).toString('latin1');
  expect(text.match(/"by":"ci"/g)).toHaveLength(expected.length);
  expect(now).toBeGreaterThan(size + expected.length);
});

test('who follows events hears no more when its token is revoked or has expired', async () => {
  const follow = async (token: string) => {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`${mesh.url}/v1/events?follow=true`, { headers });
    return answer.text();
  };
  const { token, id } = await grant('view', 'screen');
  const brief = await grant('view', 'brief', 60);
  const [revoked, expired] = [follow(token), follow(brief.token)];
  await expect
    .poll(() => mesh.controller.services.spine.deliveries.filter((one) => one.name === 'reader'))
    .toHaveLength(2);
  await mesh.admin('DELETE', `/v1/access/${id}`);
  expect(await revoked).toContain('"admins_served"');
  await mesh.clock.advance(121_000); // the first event after it has expired
  await settled();
  expect(await expired).toContain('"admins_served"');
});

test('a name is one token’s alone until that is gone', async () => {
  const { id } = await grant('view', 'ci');
  const body = { name: 'ci', role: 'admin', ttl_s: null };
  expect(problemOf(await mesh.admin('POST', '/v1/access', body)).code).toBe('name_in_use');
  await mesh.admin('DELETE', `/v1/access/${id}`);
  expect((await mesh.admin('POST', '/v1/access', body)).status).toBe(201);
});
