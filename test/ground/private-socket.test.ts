import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createServer as createHttpServer } from '../../src/controller/http/server.ts';
import { listenOnSocket } from '../../src/controller/http/servers.ts';
import { listenPrivately } from '../../src/ground/private-socket.ts';

let folder: string;
let mask: number;
beforeEach(() => {
  mask = process.umask(0o022);
  folder = mkdtempSync(join(tmpdir(), 'private-socket-'));
});
afterEach(() => {
  process.umask(mask);
  rmSync(folder, { recursive: true });
});

const modeOf = (path: string) => statSync(path).mode & 0o777;

/** Makes files until `listening` settles; their modes. */
async function modesMeanwhile(listening: Promise<unknown>): Promise<Set<number>> {
  let settled = false;
  const done = listening.finally(() => {
    settled = true;
  });
  const modes = new Set<number>();
  const file = join(folder, 'file');
  do {
    writeFileSync(file, '');
    modes.add(modeOf(file));
    rmSync(file);
    await new Promise(setImmediate);
  } while (!settled);
  await done;
  return modes;
}

test('a socket is open to its user alone, and other files made meanwhile are as open as ever', async () => {
  const path = join(folder, 'socket');
  const server = createServer();
  expect(await modesMeanwhile(listenPrivately(server, path))).toEqual(new Set([0o644]));
  expect(modeOf(path)).toBe(0o600);
  server.close();

  const app = await createHttpServer({ emit: () => {}, now: () => 0 });
  const admin = join(folder, 'admin');
  expect(await modesMeanwhile(listenOnSocket(app, admin))).toEqual(new Set([0o644]));
  expect(modeOf(admin)).toBe(0o600);
  await app.close();
});

test('a path that no socket can have is an error of that one listen', async () => {
  const server = createServer();
  await expect(listenPrivately(server, join(folder, 'x'.repeat(200)))).rejects.toThrow();
  await listenPrivately(server, join(folder, 'socket'));
  server.close();
});
