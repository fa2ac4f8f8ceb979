import { afterAll, beforeAll, expect, test } from 'vitest';
import { openConfig } from '../../src/contract/config.ts';
import { fromBase64 } from '../../src/contract/encoding.ts';
import { type Envelope, PAYLOAD_TYPES } from '../../src/contract/envelope.ts';
import { SIGNATURE_TAGS } from '../../src/contract/http-signature.ts';
import { PROTOCOL, PROTOCOL_HEADER } from '../../src/contract/protocol.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { call, problemOf, TestMesh } from './support/test-mesh.ts';
import type { TestNode } from './support/test-node.ts';

let mesh: TestMesh;
let a: TestNode;
let controllerKey: Uint8Array;
beforeAll(async () => {
  mesh = await TestMesh.start();
  a = await mesh.enrol('a', 1);
  const score = a.score(mesh.meshId, 0.9, mesh.clock.now());
  const { controller_key } = JSON.parse((await mesh.post('a', score)).text);
  controllerKey = fromBase64(controller_key, 32)!;
  await mesh.rotate();
});
afterAll(() => mesh.stop());

const config = (query: string) => {
  const url = `${mesh.url}/v1/config/a${query}`;
  return call(url, { headers: a.signed(url, SIGNATURE_TAGS.config, mesh.clock.now()) });
};

test('a node is told in the words of its own protocol', async () => {
  const { config: second, configOfProtocol1: first } = PAYLOAD_TYPES;
  for (const [query, type, protocol] of [
    ['', first, 1],
    ['?protocol=1', first, 1],
    [`?protocol=${PROTOCOL}`, second, PROTOCOL],
    [`?protocol=${PROTOCOL + 1}`, second, PROTOCOL],
  ] as const) {
    const answer = await config(query);
    const envelope = JSON.parse(answer.text) as Envelope;
    expect(envelope.payloadType, query).toBe(type);
    const opened = openConfig(defaultProvider(), envelope, [controllerKey]);
    expect(opened, query).toMatchObject({ ok: true, value: { protocol } });
    expect(answer.headers[PROTOCOL_HEADER]).toBe(String(PROTOCOL));
  }
});

test('the number is part of what is signed', async () => {
  const url = `${mesh.url}/v1/config/a?protocol=${PROTOCOL}`;
  const headers = a.signed(url, SIGNATURE_TAGS.config, mesh.clock.now());
  for (const other of ['', '?protocol=1']) {
    const answer = await call(`${mesh.url}/v1/config/a${other}`, { headers });
    expect(problemOf(answer).code).toBe('signature_invalid');
  }
});

test('who is too far ahead is told so by every call, and which end to upgrade', async () => {
  const before = mesh.dump();
  const query = `?protocol=${PROTOCOL + 2}`;
  const score = a.score(mesh.meshId, 0.9, mesh.clock.now());
  for (const answer of [
    await config(query),
    await call(`${mesh.url}/v1/benchmarks/a${query}`, { method: 'POST', body: score }),
    await call(`${mesh.url}/v1/nodes${query}`, { method: 'POST', body: {} }),
    await call(`${mesh.url}/v1/nodes/a/endpoint${query}`, { method: 'PUT' }),
  ]) {
    expect(answer.status).toBe(400);
    expect(problemOf(answer)).toMatchObject({
      code: 'protocol_unsupported',
      detail: expect.stringContaining('Upgrade the controller first.'),
    });
    expect(answer.headers[PROTOCOL_HEADER]).toBe(String(PROTOCOL));
  }
  expect(mesh.dump()).toBe(before);
});
