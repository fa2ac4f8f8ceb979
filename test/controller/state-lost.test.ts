import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Envelope, PAYLOAD_TYPES, signEnvelope } from '../../src/contract/envelope.ts';
import type { StampedEvent } from '../../src/controller/events.ts';
import { reportSeen } from '../../src/controller/operations/report-seen.ts';
import { announceRestoredIn } from '../../src/controller/restored.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { call, payloadOf, problemOf, TestMesh } from './support/test-mesh.ts';
import type { TestNode } from './support/test-node.ts';

/** A backup is put back, and nobody says so. */
const crypto = defaultProvider();
const MIN = 60_000;
const FROM = '192.0.2.1';

let mesh: TestMesh;
let a: TestNode;
let b: TestNode;
let events: StampedEvent[];
const onEvent = (event: StampedEvent) => void events.push(event);
const backupIn = (state: string) => join(state, 'backup.db');
const databaseIn = (state: string) => join(state, 'mesh.db');
const keep = async (state: string) => copyFileSync(databaseIn(state), backupIn(state));
const putBack = async (state: string) => {
  for (const end of ['-wal', '-shm']) rmSync(databaseIn(state) + end, { force: true });
  copyFileSync(backupIn(state), databaseIn(state));
};

beforeEach(async () => {
  events = [];
  mesh = await TestMesh.start();
  a = await mesh.enrol('a', 1);
  b = await mesh.enrol('b', 2);
  await mesh.report(0.9, a, b);
  await mesh.rotate();
  await mesh.restart({}, 0, keep);
  await mesh.report(0.9, a, b);
  await mesh.clock.advance(MIN);
});
afterEach(() => mesh.stop());

/** The event of the present epoch, as every stream has it. */
function newestEvent(): Envelope {
  const texts: string[] = [];
  const sink = { backlog: 0, write: (text: string) => void texts.push(text), end: () => {} };
  const { streams, governor } = mesh.controller.services;
  const ended = streams.add('a', sink);
  streams.publish(governor.current!);
  ended();
  const data = texts
    .join('')
    .split('\n')
    .find((line) => line.startsWith('data: '));
  return JSON.parse(data!.slice('data: '.length)) as Envelope;
}

const show = (body: unknown) => call(`${mesh.url}/v1/epoch/seen`, { method: 'POST', body });
const readiness = () => mesh.admin('GET', '/readyz');

const header = (): Envelope => mesh.controller.services.governor.current!.header!.envelope;

test.each([
  ['event', newestEvent],
  ['header', header],
])('one %s is enough: nothing is given out or decided until it is announced', async (_, newest) => {
  await mesh.admin('DELETE', '/v1/nodes/b');
  const seen = newest();
  const { epoch, version } = payloadOf<{ epoch: number; version: number }>(seen);
  await mesh.restart({ onEvent }, 0, putBack);
  // Whoever was removed since is a member in the backup, and would be one again.
  const served = await mesh.config(b);
  expect(served.epoch).toBeLessThan(epoch);
  const answer = await show(seen);
  expect([answer.status, JSON.parse(answer.text)]).toEqual([
    200,
    { epoch: served.epoch, version: served.version },
  ]);
  const told = events.filter((one) => one.event === 'state_lost');
  expect(told).toMatchObject([
    { epoch: served.epoch, version: served.version, signed_epoch: epoch, signed_version: version },
  ]);
  for (const node of [a, b]) {
    const refused = await mesh.configCall(node);
    expect([refused.status, problemOf(refused).code]).toEqual([503, 'not_ready']);
  }
  expect(problemOf(await readiness()).detail).toMatch(
    `ends with epoch ${served.epoch}.${served.version}, and this controller has signed ${epoch}.${version}`,
  );
  expect(problemOf(await readiness()).detail).toContain('run: meshnet controller restored');
  expect((await mesh.epoch()).not_ready).toBe(problemOf(await readiness()).detail);
  expect((await mesh.admin('GET', '/log/checkpoint')).status).toBe(503);
  // However much is reported and asked for: no epoch gets a number that another one had.
  await mesh.report(0.9, a, b);
  await mesh.clock.advance(10 * MIN);
  const asked = await mesh.admin('POST', '/v1/rotate');
  expect([asked.status, problemOf(asked).code]).toEqual([503, 'not_ready']);
  expect((await mesh.epoch()).epoch).toBe(served.epoch);
  await show(seen);
  expect(events.filter((one) => one.event === 'state_lost')).toHaveLength(1);

  await mesh.restart({}, 0, (state) => announceRestoredIn(state, mesh.clock.now()));
  await mesh.report(0.9, a, b);
  await mesh.clock.advance(MIN);
  await show(seen);
  expect((await readiness()).status).toBe(200);
  expect((await mesh.epoch()).not_ready).toBeNull();
  expect((await mesh.config(a)).epoch).toBeGreaterThan(epoch);
});

test('what this controller has not signed, for this mesh, as an event, says nothing', async () => {
  const seen = newestEvent();
  const document = payloadOf<Record<string, unknown>>(seen);
  const later = { ...document, epoch: 1_000_000, version: 1_000_000 };
  const seed = new Uint8Array(32).fill(1);
  const forged = signEnvelope(crypto, seed, PAYLOAD_TYPES.streamEvent, later);
  const { services } = mesh.controller;
  const { signingSeed } = services;
  const sign = (type: typeof PAYLOAD_TYPES.streamEvent, fields: object) =>
    signEnvelope(crypto, signingSeed, type, { ...later, ...fields });
  const codeOf = async (body: unknown) => {
    const answer = await reportSeen(services, { body, from: FROM });
    return answer.ok ? undefined : answer.problem.code;
  };
  expect(await codeOf(forged)).toBe('envelope_signature');
  const elsewhere = { mesh_id: Buffer.alloc(32, 9).toString('base64') };
  expect(await codeOf(sign(PAYLOAD_TYPES.streamEvent, elsewhere))).toBe('wrong_mesh');
  expect(await codeOf({ ...seen, payloadType: PAYLOAD_TYPES.receipt })).toBe('envelope_type');
  expect(await codeOf({ ...header(), payload: seen.payload })).toBe('invalid_field');
  for (const nothing of [null, undefined, 7, [], {}]) {
    expect(await codeOf(nothing)).toBe('envelope_malformed');
  }
  expect(await codeOf(seen)).toBeUndefined();
  expect((await readiness()).status).toBe(200);
});

test('forgeries use up what their address may have verified', async () => {
  const { services } = mesh.controller;
  const later = { ...payloadOf<object>(newestEvent()), epoch: 1_000_000, version: 1_000_000 };
  const seed = new Uint8Array(32).fill(1);
  const body = signEnvelope(crypto, seed, PAYLOAD_TYPES.streamEvent, later);
  let code: string | undefined;
  for (let i = 0; i < 1000 && code !== 'too_many_requests'; i++) {
    const answer = await reportSeen(services, { body, from: FROM });
    code = answer.ok ? undefined : answer.problem.code;
  }
  expect(code).toBe('too_many_requests');
});

test('an epoch that another controller committed meanwhile is no loss', async () => {
  const { store, governor } = mesh.controller.services;
  const current = governor.current!;
  const next = { ...current, epoch: current.epoch + 1, version: current.version + 1 };
  await store.commitEpoch(current, { ...next, header: undefined });
  await governor.signedBefore(next);
  expect(governor.current?.epoch).toBe(next.epoch);
  expect((await readiness()).status).toBe(200);
});
