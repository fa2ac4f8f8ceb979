import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Controller, openState, startController } from '../../src/controller/controller.ts';
import { defaultProvider } from '../../src/crypto/select.ts';

let directory: string;
let controller: Controller;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'proxy-'));
  controller = await startController({
    state: openState(join(directory, 'controller')),
    listen: { host: '127.0.0.1', port: 0 },
    proxy: '127.0.0.9',
    crypto: defaultProvider(),
    random: (length) => new Uint8Array(length).fill(5),
  });
});
afterEach(async () => {
  await controller.close();
  rmSync(directory, { recursive: true });
});

/** What a request for the epoch is answered when it comes from there. */
async function statusFrom(localAddress: string, headers: Record<string, string>): Promise<number> {
  const { port } = controller;
  const call = request({ host: '127.0.0.1', port, path: '/v1/epoch', localAddress, headers });
  call.end();
  const [answer] = (await once(call, 'response')) as [{ statusCode: number; resume(): void }];
  answer.resume();
  return answer.statusCode;
}

test('whoever is not the proxy is not heard, though it says that it is', async () => {
  const forged = { 'x-forwarded-for': '127.0.0.1', host: '127.0.0.1' };
  await expect(statusFrom('127.0.0.8', forged)).rejects.toThrow(/hang up|ECONNRESET/);
});

test('what comes by the proxy is not taken for a call from this machine', async () => {
  const host = `127.0.0.1:${controller.port}`;
  expect(await statusFrom('127.0.0.9', { host, 'x-forwarded-for': '198.51.100.7' })).toBe(401);
  const chain = { host, 'x-forwarded-for': '127.0.0.1, 198.51.100.7' };
  expect(await statusFrom('127.0.0.9', chain)).toBe(401);
});
