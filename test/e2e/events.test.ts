import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { ControllerProcess } from '../controller/support/controller-process.ts';

const MESHNET = new URL('../../src/cli/meshnet.ts', import.meta.url).pathname;

let controller: ControllerProcess;
beforeAll(async () => {
  controller = new ControllerProcess(['--epoch', '60']);
  await controller.start();
});
afterAll(() => controller.remove());

/** `meshnet events --follow`, and what it has printed. */
function follow(...parameters: string[]): {
  readonly child: ChildProcess;
  text: string;
  errors: string;
} {
  const argv = [MESHNET, 'events', '--follow', '--socket', controller.socket, ...parameters];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const followed = { child, text: '', errors: '' };
  child.stdout!.on('data', (text) => {
    followed.text += text;
  });
  child.stderr!.on('data', (text) => {
    followed.errors += text;
  });
  return followed;
}

test('the past is printed for people, with the time, and as JSON', () => {
  const argv = [MESHNET, 'events', '--socket', controller.socket];
  const people = spawnSync(process.execPath, argv, { encoding: 'utf8' });
  expect([people.status, people.stderr]).toEqual([0, '']);
  expect(people.stdout).toMatch(/^\d{4}-\S+Z controller of mesh \S+ listening at http:\S+$/m);
  expect(people.stdout).toMatch(/^\d{4}-\S+Z epoch 1\.1: nobody$/m);
  const json = spawnSync(process.execPath, [...argv, '--json'], { encoding: 'utf8' });
  const events = json.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events.map((one) => one.event)).toEqual(['started', 'epoch_committed', 'admins_served']);
});

test('followed, events come as they happen, until a signal', async () => {
  const followed = follow('--json');
  await expect.poll(() => followed.text, { timeout: 20_000 }).toContain('"epoch_committed"');
  await controller.admin('POST', '/v1/tokens', { node_id: 'node-x', ttl_s: 60 });
  await expect.poll(() => followed.text, { timeout: 20_000 }).toContain('"token_issued"');
  followed.child.kill('SIGTERM');
  expect(await once(followed.child, 'exit')).toEqual([0, null]);
});

test('followed, it fails when the controller goes', async () => {
  const followed = follow();
  await expect.poll(() => followed.text, { timeout: 20_000 }).toContain('epoch 1.1');
  const [gone] = await Promise.all([once(followed.child, 'close'), controller.stop()]);
  expect(gone).toEqual([3, null]);
  expect(followed.errors).toBe('meshnet: the controller has stopped\n');
});
