import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { settled } from './support/sim-clock.ts';
import { TestMesh } from './support/test-mesh.ts';

const MINUTE = 60_000;
const COMPLIANCE = 'https://schemas.openid.net/secevent/caep/event-type/device-compliance-change';
const REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked';

let mesh: TestMesh;
let server: Server;
let heard: { readonly headers: IncomingHttpHeaders; readonly body: string }[];
/** Statuses and bodies of the next answers; 202 after them. */
let answers: (readonly [status: number, body: string])[];
/** Requests wait while this is set. */
let stalled: Promise<void> | undefined;
let url: string;

beforeEach(async () => {
  heard = [];
  answers = [];
  stalled = undefined;
  server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    heard.push({ headers: request.headers, body });
    await stalled;
    const [status, said] = answers.shift() ?? [202, ''];
    response.writeHead(status).end(said);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`;
  mesh = await TestMesh.start();
  await mesh.restart({ eventReceivers: [{ url, bearer: 'opensesame' }] });
});
afterEach(async () => {
  await mesh.stop();
  server.closeAllConnections();
  server.close();
});

const drained = () => mesh.controller.services.spine.drained(5000);
const delivery = () =>
  mesh.controller.services.spine.deliveries.find((one) => one.name.startsWith('security events'))!;

/** As a receiver verifies them: by the keys that the mesh publishes, with a library that others wrote. */
async function verified() {
  const keys = createRemoteJWKSet(new URL(`${mesh.url}/.well-known/jwks.json`));
  const issuer = `aligned-meshnet/${mesh.meshId.toHex()}`;
  const options = { issuer, audience: url, typ: 'secevent+jwt', algorithms: ['EdDSA'] };
  const all = heard.map(({ body }) =>
    jwtVerify(body, keys, { ...options, currentDate: new Date(mesh.clock.now()) }),
  );
  return (await Promise.all(all)).map(({ payload }) => payload);
}

test('a node that becomes a member, is cut and is removed: a token for each', async () => {
  const a = await mesh.enrol('a', 1);
  await mesh.report(0.9, a);
  await mesh.clock.advance(MINUTE);
  await mesh.clock.advance(1000); // nothing changes
  await mesh.report(0.2, a);
  await mesh.clock.advance(MINUTE);
  await mesh.admin('DELETE', '/v1/nodes/a');
  await drained();
  const told = await verified();
  expect(told.map(({ events }) => events)).toMatchObject([
    { [COMPLIANCE]: { previous_status: 'not-compliant', current_status: 'compliant' } },
    {
      [COMPLIANCE]: {
        previous_status: 'compliant',
        current_status: 'not-compliant',
        initiating_entity: 'policy',
        reason_admin: { en: expect.stringContaining('0.2') },
      },
    },
    { [REVOKED]: { initiating_entity: 'admin' } },
  ]);
  expect(told.map(({ sub_id }) => sub_id)).toEqual(
    Array.from({ length: 3 }, () => ({ format: 'opaque', id: 'a' })),
  );
  expect(new Set(told.map(({ jti }) => jti)).size).toBe(3);
  for (const { headers } of heard) {
    expect(headers).toMatchObject({
      'content-type': 'application/secevent+jwt',
      authorization: 'Bearer opensesame',
    });
  }
});

test('a token that is refused is passed over, and why is told; the others arrive', async () => {
  answers = [[400, JSON.stringify({ err: 'invalid_key', description: 'who\nare you' })]];
  const nodes = [await mesh.enrol('a', 1), await mesh.enrol('b', 2)];
  await mesh.report(0.9, ...nodes);
  await mesh.rotate();
  await drained();
  expect((await verified()).map(({ sub_id }) => (sub_id as { id: string }).id)).toEqual(['a', 'b']);
  expect(delivery()).toMatchObject({ failed: 1 });
  expect(mesh.log.join('')).toContain('the receiver answers 400 (invalid_key: who');
  expect(mesh.log.join('')).not.toContain('opensesame');
});

test('no epoch waits for a receiver that hangs', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  stalled = promise;
  const a = await mesh.enrol('a', 1);
  const before = mesh.controller.services.governor.current!.epoch;
  for (const score of [0.9, 0.2, 0.9]) {
    await mesh.report(score, a);
    await mesh.rotate();
  }
  expect(mesh.controller.services.governor.current!.epoch).toBe(before + 3);
  while (heard.length === 0) await settled();
  expect(heard).toHaveLength(1);
  resolve();
  await drained();
  expect(heard).toHaveLength(3);
});
