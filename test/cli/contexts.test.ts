import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Controller, openState, startController } from '../../src/controller/controller.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { meshnet } from './support/run-meshnet.ts';

let directory: string;
let file: string;
const meshes: Controller[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'meshnet-contexts-'));
  file = join(directory, 'config', 'contexts.json');
  process.env.MESHNET_CONTEXTS = file;
  for (const name of ['one', 'two']) {
    meshes.push(
      await startController({
        state: openState(join(directory, name)),
        listen: { host: '127.0.0.1', port: 0 },
        settings: { epochOnLoopback: false, epochS: 3600 }, // epochs are counted: none begins by itself
        tls: 'own',
        crypto: defaultProvider(),
        random: (length) => new Uint8Array(randomBytes(length)),
      }),
    );
  }
});
afterAll(async () => {
  delete process.env.MESHNET_CONTEXTS;
  for (const mesh of meshes) await mesh.close();
  rmSync(directory, { recursive: true });
});

async function tokenFile(mesh: Controller, role: string, name: string): Promise<string> {
  const options = ['--role', role, '--socket', mesh.adminSocket];
  const { out, code } = await meshnet('access', 'create', name, ...options);
  expect(code).toBe(0);
  const path = join(directory, `${name}.token`);
  writeFileSync(path, out, { mode: 0o600 });
  return path;
}

test('several meshes are administered from one machine, each by its own token', async () => {
  for (const [i, mesh] of meshes.entries()) {
    const token = await tokenFile(mesh, 'operate', `desk-${i}`);
    const options = ['--controller', mesh.url, '--token-file', token];
    const added = await meshnet('context', 'add', `mesh-${i}`, ...options);
    expect(added).toMatchObject({ code: 0, err: '' });
    expect(added.out).toContain('its token has the role operate');
  }
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect((await meshnet('rotate', '--context', 'mesh-0')).out).toBe('epoch 2 has begun\n');
  expect((await meshnet('epoch', '--context', 'mesh-0')).out).toContain('epoch 2.');
  expect((await meshnet('epoch', '--context', 'mesh-1')).out).toContain('epoch 1.');
  const events = await meshnet('events', '--context', 'mesh-0');
  expect(events.out).toContain('With the access token desk-0 it was asked to rotate');
  const log = await meshnet('log', 'verify', '--context', 'mesh-0');
  expect(log).toMatchObject({ code: 0 });
  const refused = await meshnet('access', 'list', '--context', 'mesh-0');
  expect(refused).toMatchObject({ code: 4 });
  expect(refused.err).toContain('expected an access token with the role admin');
  const listed = await meshnet('context', 'list');
  expect(listed.out).toContain(meshes[1]!.url);
  expect(listed.out).not.toContain('access.');
});

test('the environment names a context, and the command line goes before it', async () => {
  process.env.MESHNET_CONTEXT = 'mesh-1';
  try {
    expect((await meshnet('epoch')).out).toContain('epoch 1.');
    const { out } = await meshnet('rotate', '--socket', meshes[0]!.adminSocket);
    expect(out).toBe('epoch 3 has begun\n');
  } finally {
    delete process.env.MESHNET_CONTEXT;
  }
});

test('a token goes to the controller of its own mesh alone, and never without TLS', async () => {
  const token = await tokenFile(meshes[0]!, 'view', 'stray');
  const options = ['--token-file', token, '--controller'];
  const elsewhere = await meshnet('context', 'add', 'elsewhere', ...options, meshes[1]!.url);
  expect(elsewhere.out).toContain('its certificate is not of this mesh');
  expect((await meshnet('epoch', '--context', 'elsewhere')).code).toBe(3);
  const plain = await meshnet('context', 'add', 'plain', ...options, 'http://192.0.2.1:8440');
  expect(plain).toMatchObject({ code: 2 });
  expect(plain.err).toContain('over TLS only');
  const unknown = await meshnet('epoch', '--context', 'mesh-9');
  expect(unknown).toMatchObject({ code: 2 });
  expect(unknown.err).toContain('there is no context mesh-9');
});

test('a revoked token opens nothing, and a context can be forgotten', async () => {
  await meshnet('access', 'revoke', 'desk-1', '--socket', meshes[1]!.adminSocket);
  const refused = await meshnet('rotate', '--context', 'mesh-1');
  expect(refused).toMatchObject({ code: 4 });
  expect(refused.err).toContain('The access token is not valid');
  expect((await meshnet('context', 'remove', 'mesh-1')).code).toBe(0);
  expect((await meshnet('context', 'remove', 'mesh-1')).code).toBe(2);
});

test('contexts that others could read, or that are malformed, are not used nor shown', async () => {
  chmodSync(file, 0o644);
  const open = await meshnet('epoch', '--context', 'mesh-0');
  expect(open).toMatchObject({ code: 5 });
  expect(open.err).toContain('run: chmod 600');
  const token = /access\.[\w.-]+/.exec(readFileSync(file, 'utf8'))![0];
  rmSync(file);
  writeFileSync(file, `{"contexts": {"mesh-0": ${token}`, { mode: 0o600 });
  const malformed = await meshnet('epoch', '--context', 'mesh-0');
  expect(malformed).toMatchObject({ code: 5 });
  expect(malformed.err).not.toContain(token);
});
