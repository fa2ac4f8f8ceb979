import { expect, onTestFinished, test } from 'vitest';
import {
  type JoinTokenEvent,
  type JoinTokenServices,
  serveJoinTokens,
} from '../../src/kubernetes/join-token-server.ts';
import { ReviewError } from '../../src/kubernetes/token-review.ts';

const WORKER = { account: 'default/worker', pod: 'worker-1', machine: 'machine-1.example' };
const ADMISSION = { pods: new Set(['default/worker']), machines: new Set(['kube/node']) };

async function server(services: Partial<JoinTokenServices>) {
  const events: JoinTokenEvent[] = [];
  const running = await serveJoinTokens(
    {
      admission: ADMISSION,
      review: async () => WORKER,
      issue: async (nodeId) => `token-of-${nodeId}`,
      told: (event) => events.push(event),
      ...services,
    },
    { host: '127.0.0.1', port: 0 },
    undefined,
  );
  onTestFinished(() => running.close());
  const ask = (init: RequestInit = {}, path = '/v1/join-token') =>
    fetch(`http://127.0.0.1:${running.port}${path}`, {
      method: 'POST',
      headers: { authorization: 'Bearer secret.of-the-pod' },
      ...init,
    });
  return { ask, events };
}

test('a pod gets a join token for the node of its name', async () => {
  const { ask, events } = await server({});
  const response = await ask();
  expect(await response.json()).toEqual({ node_id: 'worker-1', token: 'token-of-worker-1' });
  expect(response.headers.get('cache-control')).toBe('no-store');
  expect(events).toEqual([{ event: 'issued', address: '127.0.0.1', node: 'worker-1' }]);
});

test.for([
  ['another path', {}, '/v1/nodes', 404],
  ['another method', { method: 'GET' }, undefined, 405],
  ['no token', { headers: {} }, undefined, 401],
  ['another scheme', { headers: { authorization: 'Basic c2VjcmV0' } }, undefined, 401],
] as const)('%s is refused', async ([, init, path, status]) => {
  const { ask, events } = await server({ review: () => Promise.reject(new Error('was asked')) });
  expect((await ask(init, path)).status).toBe(status);
  expect(events).toMatchObject([{ event: 'refused' }]);
});

test.for([
  ['an account that is not listed', { ...WORKER, account: 'default/other' }],
  ['a token that is of no pod', { ...WORKER, pod: undefined }],
  ['a pod whose name is no node name', { ...WORKER, pod: 'worker.1' }],
  ['a machine that is not told', { account: 'kube/node', pod: 'x', machine: undefined }],
] as const)('%s is refused with the reason', async ([, identity]) => {
  const { ask } = await server({ review: async () => identity, issue: expect.unreachable });
  const response = await ask();
  expect(response.status).toBe(403);
  expect(await response.json()).toMatchObject({ status: 403, title: expect.any(String) });
});

test('whoever Kubernetes does not vouch for is refused; if it cannot be asked, nobody is', async () => {
  const { ask } = await server({ review: async () => undefined });
  expect((await ask()).status).toBe(401);
  const { ask: askLater } = await server({
    review: () => Promise.reject(new ReviewError('no answer')),
  });
  expect((await askLater()).status).toBe(503);
  const { ask: askController } = await server({ issue: () => Promise.reject(new Error('down')) });
  expect((await askController()).status).toBe(503);
});

test('of many at once only so many are reviewed, and no secret is told', async () => {
  let underWay = 0;
  let most = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const { ask, events } = await server({
    review: async () => {
      most = Math.max(most, ++underWay);
      await promise;
      underWay--;
      return WORKER;
    },
  });
  const asked = Array.from({ length: 40 }, () => ask().then(({ status }) => status));
  await expect.poll(() => most).toBe(16);
  await Promise.race(asked); // refused at once
  resolve();
  const statuses = await Promise.all(asked);
  expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(16);
  expect(most).toBe(16);
  expect(JSON.stringify(events)).not.toMatch(/secret|token-of/);
});
