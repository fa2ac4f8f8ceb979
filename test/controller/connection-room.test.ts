import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { connectionRoom } from '../../src/controller/connection-room.ts';
import { openFilesLimit } from '../../src/ground/open-files.ts';

const MESHNET = new URL('../../src/cli/meshnet.ts', import.meta.url).pathname;

test('ten thousand members have room where the system gives descriptors for them', () => {
  expect(connectionRoom(10_000, 65_536)).toEqual({
    connections: 40_000,
    members: 10_000,
    descriptorsNeeded: 40_256,
  });
});

test('connections leave descriptors for everything else, however few there are', () => {
  expect(connectionRoom(10_000, 16_384)).toMatchObject({ connections: 16_128, members: 4032 });
  expect(connectionRoom(253, 1024)).toMatchObject({ connections: 768, members: 192 });
  expect(connectionRoom(253, 100).connections).toBe(1);
});

test('a small mesh, and a system without limits, has room for callers that are no members', () => {
  expect(connectionRoom(5, Number.POSITIVE_INFINITY)).toMatchObject({
    connections: 4096,
    members: 5,
  });
});

test('the limit is the one that the system tells; without a word there is none', () => {
  const { userLimits } = process.report.getReport() as {
    userLimits: { open_files: { soft: number | 'unlimited' } };
  };
  const { soft } = userLimits.open_files;
  expect(openFilesLimit()).toBe(soft === 'unlimited' ? Number.POSITIVE_INFINITY : soft);
  expect(openFilesLimit('/nowhere')).toBe(Number.POSITIVE_INFINITY);
});

test('a controller with fewer descriptors than its addresses need says so when it starts', async () => {
  const state = mkdtempSync(join(tmpdir(), 'room-'));
  onTestFinished(() => rmSync(state, { recursive: true }));
  const command = [process.execPath, MESHNET, 'controller', '--state', state];
  const all = [...command, '--listen', '127.0.0.1:0'];
  const controller = spawn('sh', ['-c', 'ulimit -n 1000 && exec "$@"', 'sh', ...all]);
  onTestFinished(() => void controller.kill('SIGKILL'));
  const said: string[] = [];
  for await (const line of createInterface({ input: controller.stdout })) {
    const { event, msg } = JSON.parse(line) as { event?: string; msg: string };
    if (event === 'descriptors_short') said.push(msg);
    if (event === 'descriptors_short' || event === 'admins_served') controller.kill('SIGKILL');
  }
  expect(said).toEqual([
    expect.stringMatching(
      /open 1000 files .*: that is 744 connections, enough for 186 members, and the mesh has addresses for 253\. For all of them allow 1268: LimitNOFILE=/,
    ),
  ]);
});
