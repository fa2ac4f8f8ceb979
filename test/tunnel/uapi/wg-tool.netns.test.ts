import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { TunnelError } from '../../../src/tunnel/tunnel.ts';
import { socketPath, UapiServer } from '../../../src/tunnel/uapi/server.ts';
import { formatEndpoint, formatPrefix } from '../../../src/wire/address-text.ts';
import { requires } from '../../lab/requirements.ts';
import { FakeTunnel } from './fake-tunnel.ts';

/**
 * Asynchronous: the server that answers runs in this process. Through cat, because wg opens
 * /dev/stdin, and the pipes to child processes are sockets, which cannot be opened.
 */
function wg(args: string[], input = ''): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      'sh',
      ['-c', 'cat | wg "$@"', 'wg', ...args],
      { maxBuffer: 64 << 20 },
      (_error, out, err) => resolve({ code: child.exitCode ?? -1, out, err }),
    );
    child.stdin?.on('error', () => {}); // it may end before it has read its input
    child.stdin?.end(input);
  });
}

const base64 = (hex: string) => Buffer.from(hex, 'hex').toString('base64');
const PRIVATE = 'a0'.repeat(31).concat('60');
const ONE = '11'.repeat(32);
const TWO = '22'.repeat(32);
const PSK = '33'.repeat(32);

requires(
  'linux',
  'root',
  'wg',
)('the wg tool', () => {
  const name = `t${process.pid}u`;
  let tunnel: FakeTunnel;
  let server: UapiServer;
  const holder = {
    configure: (change: Parameters<FakeTunnel['configure']>[0]) => tunnel.configure(change),
    status: () => tunnel.status(),
  };

  beforeAll(async () => {
    server = await UapiServer.listen({ tunnel: holder, path: socketPath(name) });
  });
  afterAll(async () => {
    await server.close();
    expect(existsSync(socketPath(name))).toBe(false);
  });
  beforeEach(() => {
    tunnel = new FakeTunnel();
  });

  async function dump(): Promise<string[][]> {
    const { out } = await wg(['show', name, 'dump']);
    return out
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'));
  }

  test('shows an interface without settings', async () => {
    expect((await wg(['show', 'interfaces'])).out.split(/\s+/)).toContain(name);
    expect((await wg(['show', name])).out.trim()).toBe(`interface: ${name}`);
  });

  test('sets and shows everything', async () => {
    const peers = `peer ${base64(ONE)} preshared-key /dev/stdin endpoint 192.0.2.1:51820
      persistent-keepalive 25 allowed-ips 10.0.0.1/32,fd00::1/128
      peer ${base64(TWO)} endpoint [2001:db8::1]:7 allowed-ips 0.0.0.0/0`.split(/\s+/);
    const set = await wg(
      ['set', name, 'listen-port', '51820', 'fwmark', '0xca6c', ...peers],
      `${base64(PSK)}\n`,
    );
    expect(set).toEqual({ code: 0, out: '', err: '' });
    const [device, one, two] = await dump();
    expect(device!.slice(2)).toEqual(['51820', '0xca6c']);
    expect(one).toEqual([
      base64(ONE),
      base64(PSK),
      '192.0.2.1:51820',
      '10.0.0.1/32,fd00::1/128',
      '0',
      '0',
      '0',
      '25',
    ]);
    expect(two!.slice(0, 4)).toEqual([base64(TWO), '(none)', '[2001:db8::1]:7', '0.0.0.0/0']);
  });

  const config = `[Interface]
PrivateKey = ${base64(PRIVATE)}
ListenPort = 1234
[Peer]
PublicKey = ${base64(ONE)}
PresharedKey = ${base64(PSK)}
AllowedIPs = 10.0.0.0/24
Endpoint = 192.0.2.1:1
`;
  const added = `[Peer]\nPublicKey = ${base64(TWO)}\nAllowedIPs = 10.0.1.0/24, 10.0.0.128/25\n`;

  test('setconf, addconf, syncconf and showconf', async () => {
    expect((await wg(['setconf', name, '/dev/stdin'], config)).err).toBe('');
    expect(tunnel.status().privateKey?.toHex()).toBe(PRIVATE);
    expect((await wg(['addconf', name, '/dev/stdin'], added)).err).toBe('');
    expect(tunnel.status().peers.map((peer) => peer.allowedIps.map(formatPrefix))).toEqual([
      ['10.0.0.0/24'],
      ['10.0.1.0/24', '10.0.0.128/25'],
    ]);
    const shown = (await wg(['showconf', name])).out;
    tunnel = new FakeTunnel();
    expect((await wg(['setconf', name, '/dev/stdin'], shown)).err).toBe('');
    expect((await wg(['showconf', name])).out).toBe(shown);

    expect((await wg(['syncconf', name, '/dev/stdin'], config)).err).toBe('');
    expect(tunnel.status().peers.map((peer) => peer.publicKey.toHex())).toEqual([ONE]);
    expect(formatEndpoint(tunnel.status().peers[0]!.endpoint!)).toBe('192.0.2.1:1');
  });

  test('setconf replaces, set removes', async () => {
    await wg(['setconf', name, '/dev/stdin'], config);
    await wg(['setconf', name, '/dev/stdin'], `[Interface]\n${added}`);
    expect(tunnel.status().peers.map((peer) => peer.publicKey.toHex())).toEqual([TWO]);
    expect((await wg(['set', name, 'peer', base64(TWO), 'remove'])).code).toBe(0);
    expect(tunnel.status().peers).toEqual([]);
  });

  test('tells the user why it failed', async () => {
    tunnel.failure = new TunnelError('address_in_use', 'bind: EADDRINUSE');
    const { code, err } = await wg(['set', name, 'listen-port', '1']);
    expect(code).toBe(1);
    expect(err).toContain('Address already in use');
  });

  test('shows 20,000 allowed-ips of many peers', async () => {
    const peers = Array.from({ length: 100 }, (_, peer) => {
      const ips = Array.from({ length: 200 }, (_, index) => `10.${peer}.${index}.0/24`);
      const key = Buffer.alloc(32, 1);
      key.writeUInt16BE(peer, 0);
      return `[Peer]\nPublicKey = ${key.toString('base64')}\nAllowedIPs = ${ips.join(', ')}\n`;
    });
    expect((await wg(['setconf', name, '/dev/stdin'], peers.join(''))).err).toBe('');
    const { out } = await wg(['show', name, 'allowed-ips']);
    expect(out.match(/\/24/g)).toHaveLength(20_000);
  });
});
