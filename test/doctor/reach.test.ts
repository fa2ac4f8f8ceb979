import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/agent/clock.ts';
import { type Controller, openState, startController } from '../../src/controller/controller.ts';
import { authorityOf, reachOf, tlsOf } from '../../src/doctor/controller-reach.ts';
import { diskFindings } from '../../src/doctor/machine.ts';
import { crypto, temporaryDirectory } from '../agent/support/rig.ts';

const random = (length: number) => globalThis.crypto.getRandomValues(new Uint8Array(length));
const directory = temporaryDirectory();
let controller: Controller;

beforeAll(async () => {
  controller = await startController({
    state: openState(join(directory.path, 'controller')),
    listen: { host: '127.0.0.1', port: 0 },
    settings: { epochOnLoopback: false },
    crypto,
    random,
  });
});
afterAll(async () => {
  await controller.close();
  directory.remove();
});

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A server that hands requests on to the controller, under another `Host`. */
function proxy(): Promise<string> {
  const server = createServer(({ method, url, headers }, response) => {
    const { port } = controller;
    const onward = { port, method, path: url, headers: { ...headers, host: 'backend.internal' } };
    request(onward, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    }).end();
  });
  return listening(server);
}

const options = (url: string) => ({
  url,
  meshId: controller.meshId,
  fetch,
  clock: systemClock,
  environment: {},
  crypto,
  random,
  signingSeed: random(32),
});

test('a proxy that changes the authority is found out by a signed request', async () => {
  const [found] = await authorityOf(options(await proxy()));
  expect(found).toMatchObject({ subject: 'authority', level: 'problem' });
  expect(found!.found).toContain('backend.internal');
  expect(found!.remedy).toContain('proxy_set_header Host');
});

test('a clock that is off is told by how much, and which way', async () => {
  const clock = { ...systemClock, wall: () => Date.now() - 90_000 };
  const findings = await reachOf({ ...options(controller.url), clock });
  const [found] = findings.filter((one) => one.subject === 'clock');
  expect(found).toMatchObject({ level: 'warning' });
  expect(found!.found).toMatch(/^is (89|90|91) s behind the controller's$/);
});

test('a controller of the first protocol, and one that is too new, are told to be upgraded', async () => {
  const answering = (headers: Record<string, string>) =>
    listening(createServer((_, response) => response.writeHead(200, headers).end('{}')));
  const versions = async (headers: Record<string, string>) => {
    const findings = await reachOf(options(await answering(headers)));
    return findings.find((one) => one.subject === 'versions');
  };
  expect(await versions({})).toMatchObject({ level: 'warning', remedy: 'upgrade the controller' });
  expect(await versions({ 'meshnet-protocol': '9' })).toMatchObject({
    level: 'problem',
    remedy: 'upgrade the program here',
  });
});

test('whoever else answers at the address is named, and a proxy that is set and not used', async () => {
  const portal = createServer((_, response) => response.writeHead(302, { location: '/' }).end());
  const [captive] = await reachOf(options(await listening(portal)));
  expect(captive).toMatchObject({ level: 'problem' });
  expect(captive!.found).toContain('302');
  const environment = { HTTPS_PROXY: 'http://user:secret@proxy:3128' };
  const [none] = await reachOf({ ...options('http://127.0.0.1:9'), environment });
  expect(none!.remedy).toContain('HTTPS_PROXY is set, and not used');
  expect(none!.remedy).not.toContain('secret');
});

test('plain HTTP is fine on this machine, and told elsewhere', async () => {
  expect(await tlsOf('http://127.0.0.1:8440', 0)).toMatchObject([{ level: 'ok' }]);
  expect(await tlsOf('http://192.0.2.1:8440', 0)).toMatchObject([{ level: 'warning' }]);
});

test('a disk is told in time, and no inodes as no room', () => {
  const disk = { bsize: 4096, files: 1000, ffree: 900 };
  const level = (freeMib: number, more = {}) =>
    diskFindings('/s', { ...disk, bavail: freeMib * 256, ...more })[0]!.level;
  expect([level(10_000), level(300), level(30)]).toEqual(['ok', 'warning', 'problem']);
  expect(level(10_000, { ffree: 0 })).toBe('problem');
  expect(level(10_000, { files: 0, ffree: 0 })).toBe('ok'); // a file system that counts none
});
