import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { call } from '../controller/support/test-mesh.ts';

const meshnet = join(import.meta.dirname, '../../bin/meshnet');
const launcher = join(import.meta.dirname, '../../bin/launch.sh');

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'launch-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function isOurs(path: string): boolean {
  const script = '. "$1"; is_ours "$2" && echo yes || echo no';
  return execFileSync('sh', ['-c', script, 'sh', launcher, path], { encoding: 'utf8' }) === 'yes\n';
}

test('compiled code is taken from a directory of our own only', () => {
  const own = join(directory, 'own');
  mkdirSync(own, { mode: 0o700 });
  expect(isOurs(own)).toBe(true);
  const link = join(directory, 'link');
  symlinkSync(own, link);
  expect(isOurs(link)).toBe(false);
  for (const mode of [0o770, 0o702, 0o777, 0o1777]) {
    chmodSync(own, mode);
    expect(isOurs(own), mode.toString(8)).toBe(false);
  }
  chmodSync(own, 0o755);
  expect(isOurs(own)).toBe(true);
  expect(isOurs(join(directory, 'none'))).toBe(false);
});

test.runIf(process.geteuid?.() === 0)("nor from somebody else's", () => {
  const foreign = join(directory, 'foreign');
  mkdirSync(foreign, { mode: 0o700 });
  chownSync(foreign, 12_345, 12_345);
  expect(isOurs(foreign)).toBe(false);
});

test.each([
  ['26.10.0', true],
  ['100.0.0', true],
  ['25.9.1', false],
  [undefined, false],
])('a package that says it is Node %s is not started to be asked', (version, isKnown) => {
  const asked = join(directory, 'asked');
  const node = join(directory, 'node/bin/node');
  mkdirSync(join(directory, 'node/bin'), { recursive: true });
  writeFileSync(node, `#!/bin/sh\necho >'${asked}'; echo v26.0.0\n`, { mode: 0o755 });
  if (version !== undefined) {
    const text = JSON.stringify({ name: 'node', version, engines: { node: '>=26' } }, undefined, 2);
    writeFileSync(join(directory, 'node/package.json'), text);
  }
  execFileSync('sh', ['-c', '. "$1"; is_node_26 "$2"', 'sh', launcher, node]);
  expect(existsSync(asked)).toBe(!isKnown);
});

test('started by nohup, a hang-up does not end it; told to end, it does', async () => {
  const socketPath = join(directory, 'state', 'admin.sock');
  const where = ['--state', join(directory, 'state'), '--listen', '127.0.0.1:0'];
  const controller = spawn('nohup', [meshnet, 'controller', ...where], { stdio: 'ignore' });
  onTestFinished(() => void controller.kill('SIGKILL'));
  const ended = once(controller, 'exit');
  const status = () =>
    call({ socketPath, path: '/healthz' }).then(
      (answer) => answer.status,
      () => undefined,
    );
  await expect.poll(status).toBe(200);
  controller.kill('SIGHUP');
  expect(await status()).toBe(200);
  controller.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
});

test.runIf(process.geteuid?.() === 0 && process.platform === 'linux')(
  'a user without a home and without an entry among the users is served',
  () => {
    const script = 'mount --bind /dev/null /etc/passwd && exec env -i PATH="$PATH" "$0" --version';
    const version = execFileSync('unshare', ['-m', 'sh', '-c', script, meshnet]);
    expect(String(version)).toMatch(/^\d+\.\d+\.\d+\n$/);
  },
);
