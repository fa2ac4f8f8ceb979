import type { IncomingHttpHeaders } from 'node:http';
import { Agent, request } from 'node:https';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ownCertificate } from '../../src/controller/own-certificate.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { controllerSource } from '../../src/dashboard/controller-source.ts';
import { type Dashboard, startDashboard } from '../../src/dashboard/dashboard.ts';
import { EpochLog } from '../../src/dashboard/epoch-log.ts';
import { Sessions } from '../../src/dashboard/sessions.ts';
import { TestMesh } from '../controller/support/test-mesh.ts';

/** The name by which browsers on other machines know it. */
const NAME = 'controller.example';

let mesh: TestMesh;
let dashboard: Dashboard;
let agent: Agent;
beforeEach(async () => {
  mesh = await TestMesh.start();
  agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  const { services } = mesh.controller;
  const seed = new Uint8Array(32).fill(7);
  const certificate = ownCertificate(defaultProvider(), seed, [NAME, '127.0.0.1'], Date.now());
  dashboard = await startDashboard({
    listen: { host: '127.0.0.1', port: 0 },
    tls: { certificate },
    onError: (error) => {
      throw error;
    },
  });
  dashboard.show(controllerSource(services, new EpochLog(), '1.2.3'));
});
afterEach(async () => {
  agent.destroy();
  await dashboard.close();
  await mesh.stop();
});

interface Asked {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: object;
}

/** A call as a browser at `https://NAME` makes it, unless it says otherwise. */
function ask(path: string, { method = 'GET', headers = {}, body }: Asked = {}) {
  const json = body === undefined ? {} : { 'content-type': 'application/json' };
  const all = { host: NAME, origin: `https://${NAME}`, ...json, ...headers };
  const options = { method, headers: all, agent };
  return new Promise<{ status: number; headers: IncomingHttpHeaders; text: string }>(
    (resolve, reject) => {
      const sent = request(new URL(path, dashboard.url), options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode!, headers: response.headers, text }),
        );
      });
      sent.on('error', reject);
      sent.end(body && JSON.stringify(body));
    },
  );
}

async function tokenOf(role: string, ttl_s: number | null = null) {
  const answer = await mesh.admin('POST', '/v1/access', { name: `a-${role}`, role, ttl_s });
  return JSON.parse(answer.text) as { token: string; id: string };
}

async function signedIn(token: string): Promise<{ cookie: string }> {
  const { status, headers } = await ask('/api/session', { method: 'POST', body: { token } });
  expect(status).toBe(200);
  return { cookie: headers['set-cookie']![0]!.split(';')[0]! };
}

const READS = ['/api/mesh', '/api/nodes/a', '/api/epochs', '/api/changes', '/api/health'];
const ALL_READS = [...READS, '/log/checkpoint', '/log/key', '/api/live'];

test('to whoever has not signed in it gives the page, and nothing of the mesh', async () => {
  expect((await ask('/')).status).toBe(200);
  for (const path of ALL_READS) {
    for (const headers of [{}, { cookie: `__Host-meshnet=${'A'.repeat(43)}` }]) {
      const { status, text } = await ask(path, { headers });
      expect([path, status]).toEqual([path, 401]);
      expect(JSON.parse(text)).toMatchObject({ code: 'access_token_invalid' });
    }
  }
  const session = JSON.parse((await ask('/api/session')).text);
  expect(session).toEqual({ mustSignIn: true, name: null, role: null });
});

test('an access token becomes a session that no script and no other site can use', async () => {
  const { token } = await tokenOf('view');
  const answer = await ask('/api/session', { method: 'POST', body: { token } });
  const [cookie] = answer.headers['set-cookie']!;
  expect(cookie).toMatch(
    /^__Host-meshnet=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Strict; Max-Age=43200$/,
  );
  expect(cookie).not.toContain(token.split('.')[2]);
  expect(answer.text).toBe('{"mustSignIn":true,"name":"a-view","role":"view"}');
  expect(answer.headers['cache-control']).toBe('no-store');
  const headers = { cookie: `other=1; ${cookie!.split(';')[0]}` };
  for (const path of READS) expect((await ask(path, { headers })).status).toBe(200);
  // Out again: what the browser showed is worth nothing any more.
  await ask('/api/session', { method: 'DELETE', headers });
  expect((await ask('/api/mesh', { headers })).status).toBe(401);
});

test('a session ends with its token: revoked, or expired', async () => {
  const { token, id } = await tokenOf('view');
  const headers = await signedIn(token);
  expect((await ask('/api/mesh', { headers })).status).toBe(200);
  await mesh.admin('DELETE', `/v1/access/${id}`);
  expect((await ask('/api/mesh', { headers })).status).toBe(401);
  const short = await signedIn((await tokenOf('admin', 60)).token);
  expect((await ask('/api/mesh', { headers: short })).status).toBe(200);
  await mesh.clock.advance(60_000);
  expect((await ask('/api/mesh', { headers: short })).status).toBe(401);
});

test('what is no token of this mesh is refused, and its address pays for it', async () => {
  const { token } = await tokenOf('view');
  const other = token.replace(/\.[^.]{43}\./, `.${'A'.repeat(43)}.`);
  const statuses = new Set<number>();
  for (let i = 0; i < 200 && !statuses.has(429); i++) {
    const { status, headers, text } = await ask('/api/session', {
      method: 'POST',
      body: { token: other },
    });
    statuses.add(status);
    expect(headers['set-cookie']).toBeUndefined();
    expect(text).not.toContain('A'.repeat(43));
  }
  expect([...statuses]).toEqual([401, 429]);
});

test.each([
  ['another site', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
  ['another port of this machine', { origin: `https://${NAME}:8442` }],
  ['a page without an origin', { origin: 'null' }],
  ['a page that has it from somewhere', { 'sec-fetch-site': 'same-site' }],
  ['plain HTTP', { origin: `http://${NAME}` }],
])('a request from %s changes nothing, also with the cookie (CSRF)', async (_, from) => {
  const { token } = await tokenOf('admin');
  const cookie = await signedIn(token);
  for (const [method, body] of [
    ['POST', { token }],
    ['DELETE', undefined],
  ] as const) {
    const headers = { ...cookie, ...from };
    const asked = body === undefined ? { method, headers } : { method, headers, body };
    const answer = await ask('/api/session', asked);
    expect(answer.status).toBe(403);
    expect(answer.headers['set-cookie']).toBeUndefined();
  }
  expect((await ask('/api/mesh', { headers: cookie })).status).toBe(200);
});

test.each(['evil.example', `${NAME}.evil.example`, '10.0.0.1', 'localhost', `x@${NAME}`])(
  'asked as %j, whom the certificate is not for, it answers nothing (DNS rebinding)',
  async (host) => {
    for (const path of ['/', '/api/session', '/api/mesh']) {
      expect((await ask(path, { headers: { host } })).status).toBe(421);
    }
  },
);

test('is reached by every name of its certificate, at any port', async () => {
  for (const host of [NAME, NAME.toUpperCase(), `${NAME}:8441`, '127.0.0.1:443']) {
    expect((await ask('/', { headers: { host } })).status).toBe(200);
  }
});

test('cannot be framed, and is kept nowhere', async () => {
  const { headers } = await ask('/');
  expect(headers['x-frame-options']).toBe('DENY');
  expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
  expect(headers['content-security-policy']).toContain("form-action 'none'");
});

test('a session is over after a working day, and there are only so many', () => {
  let now = 0;
  let made = 0;
  const random = (length: number) => new Uint8Array(length).fill(made % 251, made++ % 31);
  const sessions = new Sessions({ random, monotonic: () => now });
  const first = sessions.begin('a');
  expect(sessions.tokenOf(first)).toBe('a');
  now = 12 * 3_600_000;
  expect(sessions.tokenOf(first)).toBeUndefined();
  const ofA = Array.from({ length: 9 }, () => sessions.begin('a'));
  expect(ofA.map((one) => sessions.tokenOf(one))).toEqual([undefined, ...Array(8).fill('a')]);
  for (let i = 0; i < 240; i++) sessions.begin(`${i}`);
  expect(sessions.tokenOf(ofA[1])).toBe('a');
  for (let i = 0; i < 14; i++) sessions.begin(`more ${i}`);
  expect(sessions.tokenOf(ofA[1])).toBeUndefined();
});
