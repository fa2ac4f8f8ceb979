import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { nodeProvider } from '../../src/crypto/node.ts';
import { createTunnel, peerChange } from '../../src/tunnel/create-tunnel.ts';
import { openKeyLog } from '../../src/tunnel/key-log.ts';
import { TunnelError } from '../../src/tunnel/tunnel.ts';
import { requires } from '../lab/requirements.ts';

let folder: string;
const closers: (() => unknown)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'key-log-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const close of closers.splice(0)) await close();
  rmSync(folder, { recursive: true });
});

const SECRETS = {
  privateKey: new Uint8Array(32).fill(1),
  peerPublicKey: new Uint8Array(32).fill(2),
  ephemeral: new Uint8Array(32).fill(3),
  presharedKey: new Uint8Array(32).fill(4),
};

test('without the variable there is no key log', () => {
  expect(openKeyLog(() => expect.unreachable(), undefined)).toBeUndefined();
  expect(openKeyLog(() => expect.unreachable(), '')).toBeUndefined();
});

test('the file is for its owner alone, whatever it was before, and the log says what is going on', () => {
  const path = join(folder, 'keys');
  writeFileSync(path, 'before\n');
  chmodSync(path, 0o644);
  const messages: string[] = [];
  openKeyLog((message) => messages.push(message), path)!(SECRETS);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(messages).toEqual([expect.stringContaining('WRITES THE KEYS OF EVERY SESSION')]);
  const names = readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => line.split('=')[0]);
  expect(names).toEqual([
    'before',
    'LOCAL_STATIC_PRIVATE_KEY',
    'REMOTE_STATIC_PUBLIC_KEY',
    'LOCAL_EPHEMERAL_PRIVATE_KEY',
    'PRESHARED_KEY',
    '',
  ]);
});

test('a link, a folder and a file that cannot be made are refused before anything is opened', () => {
  symlinkSync(join(folder, 'elsewhere'), join(folder, 'link'));
  for (const path of [join(folder, 'link'), folder, join(folder, 'no', 'such')]) {
    const open = () => openKeyLog(() => expect.unreachable(), path);
    expect(open).toThrow(TunnelError);
    expect(open).toThrow(`MESH_KEYLOG=${path}: `);
  }
});

test('when it cannot be written to any more, that is said once and the tunnel goes on', () => {
  const path = join(folder, 'keys');
  const messages: string[] = [];
  const write = openKeyLog((message) => messages.push(message), path)!;
  rmSync(path);
  symlinkSync('/dev/full', path);
  for (let i = 0; i < 3; i++) write(SECRETS);
  expect(messages.slice(1)).toEqual([expect.stringContaining('nothing more is written')]);
});

/** A pcap file (LINKTYPE_RAW) of UDP datagrams between two ports of 10.0.0.1. */
function pcap(datagrams: readonly { from: number; to: number; bytes: Uint8Array }[]): Uint8Array {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65_535, 16);
  header.writeUInt32LE(101, 20);
  const records = datagrams.map(({ from, to, bytes }, i) => {
    const record = Buffer.alloc(16 + 28 + bytes.length);
    record.writeUInt32LE(1_700_000_000 + i, 0);
    record.writeUInt32LE(28 + bytes.length, 8);
    record.writeUInt32LE(28 + bytes.length, 12);
    const ip = record.subarray(16);
    ip.set([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 1]);
    ip.writeUInt16BE(28 + bytes.length, 2);
    ip.writeUInt16BE(from, 20);
    ip.writeUInt16BE(to, 22);
    ip.writeUInt16BE(8 + bytes.length, 24);
    ip.set(bytes, 28);
    return record;
  });
  return Buffer.concat([header, ...records]);
}

requires('tshark')('with the key log, tshark', () => {
  test('decrypts handshake and packets of a captured session', async () => {
    const path = join(folder, 'keys');
    vi.stubEnv('MESH_KEYLOG', path);
    const keys = [1, 2].map((byte) => new Uint8Array(32).fill(byte));
    const [a, b] = await Promise.all(
      keys.map(async (privateKey, i) => {
        const tunnel = await createTunnel({
          mode: 'userspace',
          privateKey,
          addresses: [`10.0.0.${i + 1}/24`],
          log: () => {},
        });
        closers.push(() => tunnel.close());
        return tunnel;
      }),
    );
    // Everything between the two goes through a socket that writes it down.
    const seen: { from: number; to: number; bytes: Uint8Array }[] = [];
    const relay = createSocket('udp4');
    closers.push(() => relay.close());
    relay.bind(0, '127.0.0.1');
    await once(relay, 'listening');
    relay.on('message', (bytes, { port: from }) => {
      const to = from === a!.listenPort ? b!.listenPort : a!.listenPort;
      seen.push({ from, to, bytes: new Uint8Array(bytes) });
      relay.send(bytes, to, '127.0.0.1');
    });
    const presharedKey = new Uint8Array(32).fill(9);
    for (const [near, far] of [
      [a!, 1],
      [b!, 0],
    ] as const) {
      const peer = peerChange({
        publicKey: nodeProvider.x25519Public(keys[far]!),
        presharedKey,
        endpoint: `127.0.0.1:${relay.address().port}`,
        allowedIps: [`10.0.0.${far + 1}/32`],
      });
      await near.configure({ peers: [peer] });
    }
    expect(await a!.ping('10.0.0.2')).toBeGreaterThan(0);

    const capture = join(folder, 'capture.pcap');
    writeFileSync(capture, pcap(seen));
    const ports = [a!.listenPort, b!.listenPort].flatMap((port) => ['-d', `udp.port==${port},wg`]);
    const decrypt = (file: string) =>
      execFileSync('tshark', ['-o', `wg.keylog_file:${file}`, ...ports, '-r', capture, '-V'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    const text = decrypt(path);
    expect(text).toContain('Handshake decryption successful: True');
    expect(text).toContain('Echo (ping) request');
    expect(text).toContain('Echo (ping) reply');
    const none = join(folder, 'none');
    writeFileSync(none, '');
    expect(decrypt(none)).not.toContain('Echo (ping)');
  });
});
