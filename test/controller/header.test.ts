import { afterEach, beforeEach, expect, test } from 'vitest';
import { toBase64 } from '../../src/contract/encoding.ts';
import type { Envelope } from '../../src/contract/envelope.ts';
import { type Header, openHeader } from '../../src/contract/epoch/header.ts';
import { recordSignatureIn } from '../../src/contract/epoch/member-entry.ts';
import { MembershipTree } from '../../src/contract/epoch/membership-tree.ts';
import { SIGNATURE_TAGS } from '../../src/contract/http-signature.ts';
import { openKeyRecord } from '../../src/contract/key-record.ts';
import { announceRestoredIn } from '../../src/controller/restored.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { type Answer, call, problemOf, TestMesh } from './support/test-mesh.ts';
import type { TestNode } from './support/test-node.ts';

const crypto = defaultProvider();
let mesh: TestMesh;
let a: TestNode;
let b: TestNode;
beforeEach(async () => {
  mesh = await TestMesh.start();
  a = await mesh.enrol('a', 1);
  b = await mesh.enrol('b', 2);
  await mesh.report(0.9, a, b);
  await mesh.rotate();
});
afterEach(() => mesh.stop());

const fetchHeader = (query = ''): Promise<Answer> => call(`${mesh.url}/v1/header${query}`);

function opened(text: string): Header {
  const { services } = mesh.controller;
  const envelope = JSON.parse(text) as Envelope;
  const key = crypto.ed25519Public(mesh.randoms[0]!); // the first thing a new controller makes
  const header = openHeader(crypto, envelope, toBase64(services.meshId), [key]);
  if (!header.ok) throw new Error(header.problem.code);
  return header.value;
}

const header = async (query = ''): Promise<Header> => opened((await fetchHeader(query)).text);

test('each header names the one before it, the membership, and what has changed', async () => {
  const first = await header();
  expect(first.document).toMatchObject({
    audience: 'members',
    count: 2,
    epoch_s: 60,
    lifetime_s: 180,
    grace_s: 20,
    changes: { removed: [], added: ['a', 'b'], changed: [] },
  });
  const c = await mesh.enrol('c', 3);
  await mesh.report(0.9, a, c);
  await mesh.report(0.1, b);
  await mesh.rotate();
  const second = await header();
  expect(second.previous).toEqual(first.hash);
  expect(second.document).toMatchObject({
    epoch: first.document.epoch + 1,
    version: first.document.version + 1,
    count: 2,
    changes: { removed: ['b'], added: ['c'], changed: [] },
  });
  await mesh.rotate();
  const third = await header();
  expect(third.previous).toEqual(second.hash);
  expect(third.document.changes).toEqual({ removed: [], added: [], changed: [] });
  expect(third.membersRoot).toEqual(second.membersRoot);
});

test('the root is that of the members as they are enrolled', async () => {
  const { members_root, epoch } = (await header()).document;
  const entries = [...mesh.controller.services.directory.nodes.values()].map((node) => ({
    ...node,
    recordSignature: recordSignatureIn(crypto, node.record, node.signing),
    sinceEpoch: epoch,
  }));
  for (const node of mesh.controller.services.directory.nodes.values()) {
    expect(openKeyRecord(crypto, node.record).ok).toBe(true);
  }
  expect(toBase64(MembershipTree.empty(crypto).replacedBy(entries).root)).toBe(members_root);
});

test('a node that moves is changed from the next epoch on', async () => {
  const before = await header();
  const url = `${mesh.url}/v1/nodes/a/endpoint?endpoint=127.0.0.1%3A40000`;
  const headers = a.signed(url, SIGNATURE_TAGS.endpoint, mesh.clock.now(), { method: 'PUT' });
  expect((await call(url, { method: 'PUT', headers })).status).toBe(200);
  expect((await header()).hash).toEqual(before.hash);
  await mesh.rotate();
  expect((await header()).document.changes).toEqual({ removed: [], added: [], changed: ['a'] });
});

test('members and denied nodes get the same bytes, a stranger gets none', async () => {
  await mesh.report(0.1, b);
  await mesh.rotate();
  const url = `${mesh.url}/v1/header`;
  const texts = [(await fetchHeader()).text];
  for (const node of [a, b]) {
    // As a proxy would pass it on: not from this machine.
    const signed = node.signed(url, SIGNATURE_TAGS.header, mesh.clock.now());
    texts.push((await call(url, { headers: { ...signed, via: '1.1 proxy' } })).text);
  }
  expect(new Set(texts).size).toBe(1);
  const stranger = await call(url, { headers: { via: '1.1 proxy' } });
  expect([stranger.status, problemOf(stranger).code]).toEqual([401, 'signature_missing']);
});

test('earlier ones are there by their number, those that never were are not', async () => {
  const first = await fetchHeader();
  const { epoch } = opened(first.text).document;
  await mesh.rotate();
  expect((await fetchHeader(`?epoch=${epoch}`)).text).toBe(first.text);
  const none = await fetchHeader(`?epoch=${epoch + 2}`);
  expect([none.status, problemOf(none).code]).toEqual([404, 'header_unknown']);
  expect((await fetchHeader('?epoch=-1')).status).toBe(422);
  expect((await fetchHeader('?epoch=1&epoch=2')).status).toBe(422);
});

test('after a restart it is the same, byte for byte, and the next one follows it', async () => {
  const before = await fetchHeader();
  await mesh.restart();
  expect((await fetchHeader()).text).toBe(before.text);
  await mesh.report(0.9, a, b); // all that it waited for
  const next = await header();
  expect(next.previous).toEqual(opened(before.text).hash);
  expect(next.document.changes).toEqual({ removed: [], added: [], changed: [] });
});

test('after a restored backup nothing is claimed to follow from what was before', async () => {
  const before = await header();
  await mesh.restart({}, 0, (state) => announceRestoredIn(state, mesh.clock.now()));
  expect((await fetchHeader()).status).toBe(503);
  await mesh.report(0.9, a, b);
  const next = await header();
  expect(next.document.epoch).toBeGreaterThan(before.document.epoch + 999_999);
  expect(next.document.previous).toBeNull();
  expect(next.document.changes.added).toEqual(['a', 'b']);
});
