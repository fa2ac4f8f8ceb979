import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { main } from '../../src/cli/meshnet.ts';
import { type Controller, openState, startController } from '../../src/controller/controller.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { temporaryDirectory } from '../agent/support/rig.ts';

/** What runs without a person: tokens for machines that are set up together, checks of health. */
const random = (length: number) => new Uint8Array(randomBytes(length));
let directory: ReturnType<typeof temporaryDirectory>;
let controller: Controller;
let tokens: string;
beforeEach(async () => {
  directory = temporaryDirectory();
  tokens = join(directory.path, 'tokens');
  controller = await startController({
    state: openState(join(directory.path, 'controller')),
    listen: { host: '127.0.0.1', port: 0 },
    crypto: defaultProvider(),
    random,
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await controller.close();
  directory.remove();
});

async function meshnet(...parameters: string[]) {
  const said: string[] = [];
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((text) => said.push(String(text)) > 0);
  }
  const code = await main(parameters);
  vi.restoreAllMocks();
  return { code, said: said.join('') };
}

const write = (...nodes: string[]) =>
  meshnet('token', 'write', '--socket', controller.adminSocket, '--into', tokens, ...nodes);
const tokenOf = (node: string) => readFileSync(join(tokens, node), 'utf8');

test('tokens are written to files that nobody else can read, and not shown', async () => {
  const { code, said } = await write('a', 'b');
  expect({ code, said }).toEqual({ code: 0, said: 'tokens for a, b\n' });
  expect(statSync(join(tokens, 'a')).mode & 0o777).toBe(0o600);
  expect(tokenOf('a')).toMatch(/^[\w-]{12}\.[\w-]+\.[\w-]+\n$/);
  expect(tokenOf('a')).not.toBe(tokenOf('b'));
});

test('a token that can still be used stays, one that cannot is replaced', async () => {
  await write('a', 'b');
  const [a, b] = [tokenOf('a'), tokenOf('b')];
  await controller.services.store.deleteToken(b.slice(0, 12));
  expect((await write('a', 'b')).said).toBe('tokens for b\n');
  expect(tokenOf('a')).toBe(a);
  expect(tokenOf('b')).not.toBe(b);
  writeFileSync(join(tokens, 'b'), a); // of another node
  expect((await write('a', 'b')).said).toBe('tokens for b\n');
});

test('a name that is none changes nothing', async () => {
  expect(await write('a', '../b')).toMatchObject({ code: 2 });
  expect(existsSync(tokens)).toBe(false);
});

test('health is that of the controller where its socket is', async () => {
  const socket = controller.adminSocket;
  const state = join(directory.path, 'node');
  expect(await meshnet('health', '--socket', socket)).toEqual({
    code: 0,
    said: 'controller: ready\n',
  });
  vi.spyOn(controller.services.governor, 'notReady', 'get').mockReturnValue('No epoch is decided.');
  expect(await meshnet('health', '--socket', socket)).toMatchObject({ code: 4 });
  expect(await meshnet('health', '--socket', '/nonexistent', '--state', state)).toEqual({
    code: 3,
    said: `meshnet: no controller listens at /nonexistent, no node runs in ${state}\n`,
  });
});

test('elsewhere that of the node, whether it is in or told that it is out', async () => {
  const health = async (status: object) => {
    writeFileSync(join(directory.path, 'status.json'), JSON.stringify(status));
    return meshnet('health', '--socket', '/nonexistent', '--state', directory.path);
  };
  const status = { node_id: 'a', state: 'denied', ready_reason: 'denied', written_at: Date.now() };
  expect(await health(status)).toEqual({ code: 0, said: 'a: denied, denied\n' });
  expect(await health({ ...status, state: 'starting' })).toEqual({
    code: 1,
    said: 'meshnet: a has no config yet\n',
  });
  expect(await health({ ...status, written_at: Date.now() - 60_000 })).toMatchObject({ code: 3 });
});
