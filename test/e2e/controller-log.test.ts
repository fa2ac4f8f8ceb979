import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { call } from '../controller/support/test-mesh.ts';

const MESHNET = new URL('../../src/cli/meshnet.ts', import.meta.url).pathname;
/** Lines of a rotation are some 150 bytes: more than a pipe of 64 KB takes. */
const ROTATIONS = 600;

async function controllerWithLog(stdout: 'pipe' | number) {
  const folder = mkdtempSync(join(tmpdir(), 'meshnet-log-'));
  const state = join(folder, 'state');
  const child = spawn(
    process.execPath,
    [MESHNET, 'controller', '--state', state, '--listen', '127.0.0.1:0'],
    { stdio: ['ignore', stdout, 'ignore'] },
  );
  onTestFinished(() => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  const admin = (method: string, path: string) =>
    call({ socketPath: join(state, 'admin.sock'), path }, { method });
  const isReady = () => admin('GET', '/readyz').then((answer) => answer.status);
  await expect.poll(() => isReady().catch(() => 0), { timeout: 20_000 }).toBe(200);
  return { child, admin };
}

type Admin = Awaited<ReturnType<typeof controllerWithLog>>['admin'];

/** Epochs go on, and each is answered without waiting for who does not read. */
async function rotateOften(admin: Admin): Promise<void> {
  for (let i = 0; i < ROTATIONS; i++) {
    const answer = await Promise.race([admin('POST', '/v1/rotate'), delay(5000)]);
    expect(answer?.status).toBe(200);
  }
  const { epoch } = JSON.parse((await admin('GET', '/v1/epoch')).text) as { epoch: number };
  expect(epoch).toBeGreaterThan(ROTATIONS);
}

async function endsWhenAsked(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
}

test('a controller goes on, and ends when it is asked to, while nobody reads its log', async () => {
  const { child, admin } = await controllerWithLog('pipe'); // which is never read
  await rotateOften(admin);
  await endsWhenAsked(child);
});

test('a controller goes on, and ends when it is asked to, while the disk of its log is full', async () => {
  const full = openSync('/dev/full', 'w');
  onTestFinished(() => closeSync(full));
  const { child, admin } = await controllerWithLog(full);
  await rotateOften(admin);
  await endsWhenAsked(child);
});
