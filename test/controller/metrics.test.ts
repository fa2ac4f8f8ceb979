import { get } from 'node:http';
import { afterEach, expect, test, vi } from 'vitest';
import type { StampedEvent } from '../../src/controller/events.ts';
import { version } from '../../src/ground/version.ts';
import { TestMesh } from './support/test-mesh.ts';

let mesh: TestMesh;
let events: StampedEvent[];
afterEach(() => mesh.stop());

/** A controller with an address for monitors; returns its URL. */
async function monitored(): Promise<string> {
  events = [];
  mesh = await TestMesh.start({ epochOnLoopback: false });
  await mesh.restart({
    metrics: { host: '127.0.0.1', port: 0 },
    onEvent: (event) => void events.push(event),
  });
  const served = events.find((event) => event.event === 'monitors_served');
  if (served?.event !== 'monitors_served') throw new Error('nothing is served');
  return served.url;
}

const metrics = async () => (await mesh.admin('GET', '/metrics')).text.split('\n');

test('metrics say what runs, what was decided and why, and how long it took', async () => {
  mesh = await TestMesh.start();
  const [a, b] = [await mesh.enrol('a', 1), await mesh.enrol('b', 2)];
  await mesh.token();
  await mesh.report(0.9, a);
  await mesh.report(0.2, b);
  await mesh.rotate();
  const lines = await metrics();
  for (const line of [
    `meshnet_controller_build_info{version="${version()}",node="${process.version}"} 1`,
    'meshnet_epoch_overdue_seconds 0',
    'meshnet_verdicts{reason="score_below_threshold"} 1',
    'meshnet_verdicts{reason="passed"} 1',
    'meshnet_tokens 1',
    'meshnet_events_total{event="epoch_committed"} 2',
    'meshnet_commit_duration_seconds_bucket{le="+Inf"} 2',
    'meshnet_commit_duration_seconds_count 2',
    'meshnet_push_duration_seconds_count 2',
    'meshnet_subscriber_events_total{subscriber="push",outcome="handled"} 2',
    'meshnet_subscriber_events_total{subscriber="log",outcome="dropped"} 0',
  ]) {
    expect(lines).toContain(line);
  }
  expect(lines.join('\n')).toMatch(/^process_resident_memory_bytes [1-9]\d{6,}$/m);
  expect(lines.join('\n')).toMatch(/^process_open_fds [1-9]\d*$/m);
});

test('requests are counted by route and status, whatever callers invent', async () => {
  mesh = await TestMesh.start();
  await mesh.enrol('a', 1);
  for (const path of ['/x', '/y/z', '/v1/benchmarks/a']) await fetch(`${mesh.url}${path}`);
  await fetch(`${mesh.url}/v1/benchmarks/a`, { method: 'POST', body: '{}' });
  const lines = (await metrics()).filter((line) => line.startsWith('meshnet_requests_total{'));
  expect(lines).toEqual([
    'meshnet_requests_total{route="POST /v1/tokens",status="201"} 1',
    'meshnet_requests_total{route="POST /v1/nodes",status="201"} 1',
    'meshnet_requests_total{route="GET /v1/config/:node_id",status="200"} 1',
    'meshnet_requests_total{route="none",status="404"} 2',
    'meshnet_requests_total{route="none",status="405"} 1',
    'meshnet_requests_total{route="POST /v1/benchmarks/:node_id",status="415"} 1',
  ]);
  expect(await metrics()).toContain('meshnet_request_duration_seconds_count 8');
});

test('an epoch that cannot be committed is overdue, by so many seconds', async () => {
  mesh = await TestMesh.start();
  const { store } = mesh.controller.services;
  const broken = vi.spyOn(store, 'commitEpoch').mockRejectedValue(new Error('disk full'));
  await mesh.clock.advance(60_000);
  await mesh.clock.advance(90_000);
  const text = (await metrics()).join('\n');
  expect(Number(/^meshnet_epoch_overdue_seconds (.*)$/m.exec(text)?.[1])).toBeGreaterThan(85);
  broken.mockRestore();
  await mesh.clock.advance(1000);
  expect(await metrics()).toContain('meshnet_epoch_overdue_seconds 0');
});

test('monitors have an address of their own, which answers who means this machine', async () => {
  const url = await monitored();
  expect((await fetch(`${mesh.url}/metrics`)).status).toBe(401);
  const answer = await fetch(`${url}/metrics`);
  expect(answer.headers.get('content-type')).toContain('text/plain; version=0.0.4');
  expect(await answer.text()).toContain('meshnet_controller_ready 1');
  expect(await (await fetch(`${url}/status.json`)).json()).toMatchObject({ nodes: [] });
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect((await fetch(`${url}/v1/tokens`)).status).toBe(404);
  expect((await fetch(`${url}/constructor`)).status).toBe(404);
  expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(405);
  const { hostname, port } = new URL(url);
  const status = await new Promise((resolve, reject) => {
    const options = { hostname, port, path: '/metrics', headers: { host: 'evil.example' } };
    get(options, (response) => resolve(response.resume().statusCode)).on('error', reject);
  });
  expect(status).toBe(421);
});

test('what cannot be read is answered with 500, and told', async () => {
  const url = await monitored();
  const { store } = mesh.controller.services;
  const broken = vi.spyOn(store, 'openTokens').mockRejectedValue(new Error('disk on fire'));
  const answer = await fetch(`${url}/metrics`);
  expect([answer.status, await answer.text()]).toEqual([500, 'failed\n']);
  expect(events.at(-1)).toMatchObject({ event: 'request_failed', detail: 'disk on fire' });
  broken.mockRestore();
  expect((await fetch(`${url}/metrics`)).status).toBe(200);
});
