import { afterEach, expect, test, vi } from 'vitest';
import type { Checked } from '../../src/contract/problems.ts';
import type { Caller } from '../../src/controller/operations/caller.ts';
import { readEpoch, readMetrics } from '../../src/controller/operations/read-state.ts';
import { removeNode } from '../../src/controller/operations/remove-node.ts';
import { resetSequences } from '../../src/controller/operations/reset-sequences.ts';
import { rotate } from '../../src/controller/operations/rotate.ts';
import { issueToken, listTokens, withdrawToken } from '../../src/controller/operations/tokens.ts';
import { problemOf, TestMesh } from './support/test-mesh.ts';

let mesh: TestMesh;
afterEach(() => mesh.stop());

/** Somebody over the network who signed nothing. */
function stranger(isLocal: boolean): Caller {
  const arrival = { from: '127.0.0.1', to: { address: '127.0.0.1', port: 8440 } };
  const request = { method: 'GET', authority: 'here', path: '/v1/epoch', query: '?' };
  return {
    kind: 'network',
    isLocal,
    isPrivate: isLocal,
    request: { ...request, headers: {}, arrival },
  };
}

function codeOf(answer: Checked<unknown>): string | undefined {
  return answer.ok ? undefined : answer.problem.code;
}

test('whoever is no admin is refused by the operation itself, however it was reached', async () => {
  mesh = await TestMesh.start();
  await mesh.enrol('a', 1);
  const { services } = mesh.controller;
  const { id } = await mesh
    .admin('POST', '/v1/tokens', { node_id: null, ttl_s: 60 })
    .then(({ text }) => JSON.parse(text) as { id: string });
  const before = mesh.dump();
  const caller = stranger(true);
  const answers = [
    rotate(services, caller),
    removeNode(services, caller, 'a'),
    resetSequences(services, caller, 'a'),
    issueToken(services, caller, { node_id: null, ttl_s: 60 }),
    listTokens(services, caller),
    withdrawToken(services, caller, id),
  ];
  for (const answer of await Promise.all<Checked<unknown>>(answers)) {
    expect(codeOf(answer)).toBe('not_authorized');
  }
  expect(mesh.dump()).toBe(before);
});

test('the state is read by admins, by this machine if the settings say so, and by who signs', async () => {
  mesh = await TestMesh.start({ epochOnLoopback: false });
  const closed = mesh.controller.services;
  expect(codeOf(await readEpoch(closed, { kind: 'admin' }))).toBeUndefined();
  expect(codeOf(await readEpoch(closed, stranger(true)))).toBe('signature_missing');
  expect(codeOf(await readMetrics(closed, stranger(true)))).toBe('signature_missing');
  await mesh.stop();
  mesh = await TestMesh.start({ epochOnLoopback: true });
  const open = mesh.controller.services;
  expect(codeOf(await readEpoch(open, stranger(true)))).toBeUndefined();
  expect(codeOf(await readEpoch(open, stranger(false)))).toBe('signature_missing');
});

test('an epoch that another controller is always first with is a conflict, and said to be', async () => {
  mesh = await TestMesh.start();
  await mesh.enrol('a', 1);
  const { store } = mesh.controller.services;
  const lost = vi.spyOn(store, 'commitEpoch').mockResolvedValue(false);
  for (const [method, path] of [
    ['POST', '/v1/rotate'],
    ['DELETE', '/v1/nodes/a'],
  ] as const) {
    const answer = await mesh.admin(method, path);
    expect([answer.status, problemOf(answer).code]).toEqual([409, 'epoch_conflict']);
  }
  lost.mockRestore();
  expect((await mesh.admin('POST', '/v1/rotate')).status).toBe(200);
});
