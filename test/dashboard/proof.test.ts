import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { toBase64 } from '../../src/contract/encoding.ts';
import type { GivenSettings } from '../../src/controller/settings.ts';
import { controllerSource } from '../../src/dashboard/controller-source.ts';
import { type Dashboard, startDashboard } from '../../src/dashboard/dashboard.ts';
import { EpochLog } from '../../src/dashboard/epoch-log.ts';
import { meshnet } from '../cli/support/run-meshnet.ts';
import { call, problemOf, TestMesh } from '../controller/support/test-mesh.ts';

let folder: string;
let mesh: TestMesh;
let dashboard: Dashboard;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'meshnet-proof-'));
});
afterEach(async () => {
  await dashboard.close();
  await mesh.stop();
  rmSync(folder, { recursive: true });
});

/** Nodes a, and b that is cut in the epoch that it gives. */
async function cutOne(settings: GivenSettings = {}): Promise<number> {
  mesh = await TestMesh.start(settings);
  const onError = (error: unknown) => {
    throw error;
  };
  dashboard = await startDashboard({ listen: { host: '127.0.0.1', port: 0 }, onError });
  dashboard.show(controllerSource(mesh.controller.services, new EpochLog(), '1.2.3'));
  const [a, b] = [await mesh.enrol('a', 1), await mesh.enrol('b', 2)];
  await mesh.report(0.9, a, b);
  await mesh.rotate();
  await mesh.clock.advance(1000);
  await mesh.report(0.3, b);
  await mesh.rotate();
  return (await mesh.epoch()).epoch;
}

const proofOf = (node: string, epoch: number | string, headers: Record<string, string> = {}) =>
  call(`${dashboard.url}api/nodes/${node}/proof?epoch=${epoch}`, { headers });

test('the proof of a verdict is the file that the command line makes, and checks', async () => {
  const epoch = await cutOne();
  for (const [node, of] of [
    ['b', epoch],
    ['a', epoch], // its score is from an epoch before
    ['b', epoch - 1],
  ] as const) {
    const { status, text } = await proofOf(node, of);
    expect(status).toBe(200);
    const file = join(folder, 'proof.json');
    const socket = ['--socket', mesh.controller.adminSocket];
    const made = await meshnet('log', 'prove', node, `${of}`, '--out', file, ...socket);
    expect(made.code).toBe(0);
    expect(text).toBe(readFileSync(file, 'utf8'));
    writeFileSync(file, text);
    const checked = await meshnet('log', 'check', file, '--mesh', toBase64(mesh.meshId));
    expect(checked).toMatchObject({ code: 0 });
    expect(checked.out).toContain(node === 'b' && of === epoch ? 'b was denied' : 'was a member');
  }
});

test('what nobody decided has no proof, and it says so', async () => {
  const epoch = await cutOne();
  const detailOf = async (node: string, of: number) => {
    const answer = await proofOf(node, of);
    return [answer.status, problemOf(answer).detail];
  };
  expect(await detailOf('c', epoch)).toEqual([
    404,
    `No proof: epoch ${epoch} says nothing about c.`,
  ]);
  expect(await detailOf('b', 9999)).toEqual([404, 'No proof: the log has no epoch 9999.']);
  for (const of of ['0', '-1', 'x', '1.5', '']) expect((await proofOf('b', of)).status).toBe(422);
});

test('where each node reads its own verdicts alone, proofs are for admins', async () => {
  const recordReaders = { log: 'members', verdicts: 'own' } as const;
  const epoch = await cutOne({ recordReaders });
  expect((await proofOf('b', epoch)).status).toBe(403);
  for (const [role, status] of [
    ['view', 403],
    ['admin', 200],
  ] as const) {
    const made = await mesh.admin('POST', '/v1/access', { name: role, role, ttl_s: null });
    const { token } = JSON.parse(made.text) as { token: string };
    const headers = { origin: new URL(dashboard.url).origin };
    const url = `${dashboard.url}api/session`;
    const signedIn = await call(url, { method: 'POST', headers, body: { token } });
    const cookie = signedIn.headers['set-cookie']![0]!.split(';')[0]!;
    expect([role, (await proofOf('b', epoch, { cookie })).status]).toEqual([role, status]);
  }
});
