import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Namespace, until } from '../lab/netns.ts';
import { requires } from '../lab/requirements.ts';
import { useLab } from '../lab/use-lab.ts';

const ROOT = resolve(import.meta.dirname, '../..');

const LIBRARY = `
import { createTunnel } from 'aligned-meshnet';
import { generateKeyPairSync } from 'node:crypto';

const keys = () => {
  const { privateKey } = generateKeyPairSync('x25519');
  const { d, x } = privateKey.export({ format: 'jwk' });
  const base64 = (text) => Buffer.from(text, 'base64url').toString('base64');
  return { privateKey: base64(d), publicKey: base64(x) };
};
const [left, right] = [keys(), keys()];
const a = await createTunnel({
  mode: 'userspace',
  privateKey: left.privateKey,
  addresses: ['10.0.0.1/24'],
});
const b = await createTunnel({
  mode: 'userspace',
  privateKey: right.privateKey,
  addresses: ['10.0.0.2/24'],
  peers: [
    {
      publicKey: left.publicKey,
      endpoint: \`127.0.0.1:\${a.status().listenPort}\`,
      allowedIps: ['10.0.0.1/32'],
    },
  ],
});
await a.configure({
  peers: [
    {
      publicKey: Buffer.from(right.publicKey, 'base64'),
      allowedIps: [{ prefix: { address: Uint8Array.of(10, 0, 0, 2), length: 32 } }],
    },
  ],
});
const roundTrip = await b.ping('10.0.0.1');
await a.close();
await b.close();
if (roundTrip === undefined) throw new Error('no answer');

const linux = await createTunnel({
  mode: 'linux',
  name: process.argv[2],
  privateKey: left.privateKey,
});
await linux.close();
console.log(linux.mode, await linux.closed);
`;

const TYPES = `
import { createTunnel, peerChange, type Tunnel, TunnelError } from 'aligned-meshnet';
const tunnel: Tunnel = await createTunnel({ privateKey: new Uint8Array(32) });
const inside = await createTunnel({ mode: 'userspace', privateKey: '' });
const roundTrip: number | undefined = await inside.ping('10.0.0.1');
await tunnel.configure({ peers: [peerChange({ publicKey: '', allowedIps: [] })] });
// @ts-expect-error: an address is a text
inside.ping(5);
export { roundTrip, TunnelError };
`;

requires(
  'linux',
  'root',
  'tun',
  'netns',
  'wg',
  'node:ffi',
  'npm',
)('the package, installed elsewhere', () => {
  let namespace: Namespace;
  const lab = useLab((lab) => {
    namespace = lab.namespace('p');
  });
  const folder = mkdtempSync(join(tmpdir(), 'package-'));
  const consumer = join(folder, 'consumer');
  /** A search path with a Node 26 in it, and nothing else of this repository. */
  const env = { PATH: `${folder}/bin:/usr/sbin:/usr/bin:/sbin:/bin` };

  beforeAll(() => {
    const npm = (cwd: string, ...args: string[]) =>
      execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const packed = npm(ROOT, 'pack', '--pack-destination', folder, '--json');
    const tarball = readdirSync(folder).find((file) => file.endsWith('.tgz'));
    expect(tarball, packed).toBeDefined();
    execFileSync('mkdir', [consumer, join(folder, 'bin')]);
    writeFileSync(join(consumer, 'package.json'), '{ "private": true, "type": "module" }');
    npm(consumer, 'install', '--prefer-offline', '--no-audit', '--no-fund', `../${tarball}`);
    symlinkSync(process.execPath, join(folder, 'bin/node'));
  }, 240_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  test('holds no sources and brings no development tools', () => {
    const installed = join(consumer, 'node_modules/aligned-meshnet');
    expect(readdirSync(installed).sort()).toEqual([
      'LICENSE',
      ...(existsSync(join(ROOT, 'README.md')) ? ['README.md'] : []),
      'bin',
      'dist',
      'package.json',
    ]);
    for (const tool of ['typescript', 'vitest', 'node', '@types/node']) {
      expect(existsSync(join(consumer, 'node_modules', tool)), tool).toBe(false);
    }
  });

  test('works as a library, with and without a TUN device', async () => {
    writeFileSync(join(consumer, 'library.js'), LIBRARY);
    const name = lab.interfaceName('l');
    const command = [join(folder, 'bin/node'), join(consumer, 'library.js'), name];
    const result = await namespace.exec(command, { env });
    expect(result).toMatchObject({ code: 0, stdout: 'linux undefined\n' });
  });

  test('has types that a strict compiler takes', () => {
    writeFileSync(join(consumer, 'types.mts'), TYPES);
    const options = '--noEmit --strict --module nodenext --target es2024 --lib es2024'.split(' ');
    execFileSync(join(ROOT, 'node_modules/.bin/tsc'), [...options, '--types', '', 'types.mts'], {
      cwd: consumer,
      stdio: 'inherit',
    });
  });

  test('runs as a daemon by the launcher that npm links', async () => {
    const name = lab.interfaceName('d');
    const meshtun = join(consumer, 'node_modules/.bin/meshtun');
    expect(await namespace.exec([meshtun, name], { env })).toMatchObject({ code: 0, stderr: '' });
    expect(namespace.run(['wg', 'show', name])).toContain(name);
    namespace.run(['ip', 'link', 'del', name]);
    await until(() => !existsSync(`/var/run/wireguard/${name}.sock`), 'its end');
  });

  test('says that it needs Node 26 where there is none', async () => {
    const meshtun = join(consumer, 'node_modules/.bin/meshtun');
    const empty = join(folder, 'empty');
    execFileSync('mkdir', [empty]);
    for (const tool of ['sh', 'readlink']) symlinkSync(`/bin/${tool}`, join(empty, tool));
    const command = ['env', `PATH=${empty}`, '/bin/sh', meshtun, '--version'];
    const result = await namespace.exec(command);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('needs Node 26: run npm install node@26');
  });
});
