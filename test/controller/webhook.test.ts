import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { toBase64 } from '../../src/contract/encoding.ts';
import { EventSpine } from '../../src/controller/spine.ts';
import { webhookSubscriber } from '../../src/controller/subscribers/webhook.ts';
import { TestMesh } from './support/test-mesh.ts';

const secret = new Uint8Array(32).fill(6);
const meshId = toBase64(new Uint8Array(32).fill(7));
const enrolled = {
  event: 'enrolled',
  node: 'a',
  address: '10.10.0.2',
  endpoint: null,
  key: 'k',
} as const;

interface Heard {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let server: Server;
let heard: Heard[];
/** Statuses of the next answers; 204 after them. */
let answers: number[];
let slept: number[];
let spine: EventSpine;

beforeEach(async () => {
  heard = [];
  answers = [];
  slept = [];
  server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    heard.push({ headers: request.headers, body });
    response.writeHead(answers.shift() ?? 204).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  const sleep = async (ms: number): Promise<void> => void slept.push(ms);
  spine = new EventSpine(() => 1_800_000_000_000);
  spine.subscribe(webhookSubscriber({ url, secret, meshId, fetch, sleep }));
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const delivery = () => spine.deliveries[0]!;

test('an event arrives once, signed over its id, its time and its body', async () => {
  spine.emit(enrolled);
  await spine.drained(5000);
  const [{ headers, body }] = heard as [Heard];
  expect(JSON.parse(body)).toMatchObject({ mesh_id: meshId, event: 'enrolled', node: 'a' });
  const said = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const mac = createHmac('sha256', secret).update(said).digest('base64');
  expect(headers['webhook-signature']).toBe(`v1,${mac}`);
  expect(headers['webhook-timestamp']).toBe('1800000000');
});

test('of an epoch what changed is told, and nothing where nothing did', async () => {
  const epoch = {
    event: 'epoch_committed',
    epoch: 7,
    version: 7,
    started_at: 1,
    commit_ms: 1,
  } as const;
  const change = {
    node: 'b',
    allowed: false,
    reason: 'no_score',
    explanation: 'No score.',
    before: null,
  };
  const nobody = { members: ['a'], denied: [], would_deny: [], removed: [] };
  spine.emit({ ...epoch, ...nobody, changes: [] });
  spine.emit({ ...epoch, ...nobody, removed: ['b'], changes: [change] });
  await spine.drained(5000);
  expect(heard.map(({ body }) => JSON.parse(body) as object)).toMatchObject([
    { event: 'verdicts_changed', epoch: 7, removed: ['b'], changes: [change] },
  ]);
  expect(heard[0]!.body).not.toContain('members');
});

test('a receiver that is away is tried again with the same event; one that refuses is not', async () => {
  answers = [503, 500];
  spine.emit(enrolled);
  await spine.drained(5000);
  expect(slept).toEqual([1000, 5000]);
  expect(new Set(heard.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  expect(delivery()).toMatchObject({ handled: 1, failed: 0 });
  answers = [400];
  spine.emit(enrolled);
  await spine.drained(5000);
  expect(heard).toHaveLength(4);
  expect(delivery()).toMatchObject({ handled: 1, failed: 1 });
});

test('who is never there loses events, and holds up nobody', async () => {
  server.closeAllConnections();
  server.close();
  for (let i = 0; i < 400; i++) spine.emit(enrolled);
  expect(delivery().dropped).toBeGreaterThan(100);
  await spine.drained(10_000);
  expect(delivery().handled).toBe(0);
  expect(delivery().failed).toBeGreaterThan(200);
});

test('no epoch waits for a receiver that hangs', async () => {
  const hanging = createServer(() => {}); // it takes the request, and never answers
  hanging.listen(0, '127.0.0.1');
  await once(hanging, 'listening');
  const url = `http://127.0.0.1:${(hanging.address() as AddressInfo).port}/hook`;
  const asked = once(hanging, 'request');
  const mesh = await TestMesh.start();
  onTestFinished(async () => {
    hanging.closeAllConnections();
    hanging.close();
    await mesh.stop();
  });
  await mesh.restart({ webhooks: [{ url, secret }] });
  const a = await mesh.enrol('a', 1);
  const { governor } = mesh.controller.services;
  const before = governor.current!.epoch;
  for (const score of [0.9, 0.2, 0.9]) {
    await mesh.report(score, a);
    await mesh.rotate();
  }
  expect(governor.current!.epoch).toBe(before + 3);
  await asked;
});
