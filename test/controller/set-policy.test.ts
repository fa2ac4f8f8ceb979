import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { PolicyAnswer, PolicyChange, PolicyOutlook } from '../../src/contract/policy.ts';
import type { ControllerEvent } from '../../src/controller/events.ts';
import { problemOf, TestMesh } from './support/test-mesh.ts';
import type { TestNode } from './support/test-node.ts';

const MIN = 60_000;
let mesh: TestMesh;
let nodes: TestNode[];
const events: ControllerEvent[] = [];

beforeEach(async () => {
  mesh = await TestMesh.start();
  events.length = 0;
  await mesh.controller.close();
  await mesh.open({ onEvent: (event) => event.event === 'policy_set' && events.push(event) });
  nodes = [];
  for (let i = 0; i < 4; i++) nodes.push(await mesh.enrol(`n${i}`, i + 1));
  await report();
  await mesh.rotate();
  expect(await mesh.members()).toHaveLength(4);
});
afterEach(() => mesh.stop());

/** 0.9, 0.85, 0.8, 0.75. */
async function report(): Promise<void> {
  for (const [i, node] of nodes.entries()) await mesh.report(0.9 - 0.05 * i, node);
}

const plain = (threshold: number) => ({ version: 2, suites: [{ suite: 'alignment', threshold }] });

function set(document: object, fields: Partial<PolicyChange> = {}) {
  return mesh.admin('PUT', '/v1/policy', { document, dry_run: false, confirmed: false, ...fields });
}

test('it says whom it would cut, and cuts them with the next epoch', async () => {
  const dry = JSON.parse((await set(plain(0.78), { dry_run: true })).text) as PolicyOutlook;
  expect(dry).toMatchObject({
    members: 4,
    cut: ['n3'],
    admitted: [],
    over_brake: false,
    set: false,
  });
  expect(events).toEqual([]);
  const answer = await set(plain(0.78));
  expect(JSON.parse(answer.text)).toMatchObject({ cut: ['n3'], set: true });
  expect(events).toMatchObject([{ event: 'policy_set', would_cut: ['n3'], members: 4 }]);
  expect(await mesh.members()).toHaveLength(4);
  await report();
  await mesh.clock.advance(MIN);
  expect(await mesh.members()).toEqual(['n0', 'n1', 'n2']);
  const shown = JSON.parse((await mesh.admin('GET', '/v1/policy')).text) as PolicyAnswer;
  expect(shown).toMatchObject({
    policy: { version: 2, suites: [{ suite: 'alignment', threshold: 0.78, cut: { of: 1 } }] },
    rules: ['alignment: score >= 0.78 and age <= 120 s'],
  });
});

test('what would cut more than the brake believes is not done unless it is confirmed', async () => {
  const refused = await set(plain(0.97));
  expect(problemOf(refused)).toMatchObject({
    code: 'policy_over_brake',
    detail: expect.stringContaining('4 of 4 members would be cut: n0, n1, n2, n3'),
  });
  await report();
  await mesh.clock.advance(MIN);
  expect(await mesh.members()).toHaveLength(4);
  expect((await set({ ...plain(0.97), brake: null }, { confirmed: true })).status).toBe(200);
  await mesh.rotate();
  expect(await mesh.members()).toEqual([]);
});

test.each([
  ['suites[0].cut.failed', { version: 2, suites: [{ suite: 'a', cut: { of: 2, failed: 3 } }] }],
  ['"treshold"', { version: 2, treshold: 1 }],
  ['epoch_s', { ...plain(0.7), epoch_s: 30 }],
])(
  'a document with a wrong %s is refused, and the one in force goes on',
  async (field, document) => {
    expect(problemOf(await set(document))).toMatchObject({ code: 'invalid_field', field });
    const shown = JSON.parse((await mesh.admin('GET', '/v1/policy')).text) as PolicyAnswer;
    expect(shown.rules).toEqual(['alignment: score >= 0.70 and age <= 120 s']);
  },
);

test('the document is kept for the next start, for nobody else to read', async () => {
  const document = { ...plain(0.6), epoch_s: 60 };
  expect((await set(document)).status).toBe(200);
  const path = join(mesh.state, 'policy.json');
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(document);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('over the network nobody sees or sets it without an access token', async () => {
  const { call } = await import('./support/test-mesh.ts');
  const change = { document: {}, dry_run: false, confirmed: true };
  for (const [method, body] of [['GET'], ['PUT', change]] as const) {
    const options = { method, ...(body && { body }) };
    expect((await call(`${mesh.controller.url}/v1/policy`, options)).status).toBe(403);
  }
});
