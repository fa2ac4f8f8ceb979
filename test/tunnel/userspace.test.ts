import { afterEach, expect, test } from 'vitest';
import { nodeProvider } from '../../src/crypto/node.ts';
import { traceDatagrams } from '../../src/io/trace.ts';
import { createTunnel, peerChange, type UserspaceTunnel } from '../../src/tunnel/create-tunnel.ts';
import { maxPeersOf } from '../../src/tunnel/options.ts';

const open: UserspaceTunnel[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((tunnel) => tunnel.close()));
});

const KEYS = [1, 2].map((byte) => new Uint8Array(32).fill(byte));
const publicKey = (i: number): Uint8Array => nodeProvider.x25519Public(KEYS[i]!);

async function userspace(i: number): Promise<UserspaceTunnel> {
  const tunnel = await createTunnel({
    mode: 'userspace',
    privateKey: KEYS[i]!,
    addresses: [`10.0.0.${i + 1}/24`, `fd00::${i + 1}/64`],
  });
  open.push(tunnel);
  return tunnel;
}

async function pair(): Promise<[UserspaceTunnel, UserspaceTunnel]> {
  const [a, b] = [await userspace(0), await userspace(1)];
  for (const [near, far, i] of [
    [a, b, 1],
    [b, a, 0],
  ] as const) {
    const peer = peerChange({
      publicKey: publicKey(i),
      endpoint: `127.0.0.1:${far.status().listenPort}`,
      allowedIps: [`10.0.0.${i + 1}/32`, `fd00::${i + 1}/128`],
    });
    await near.configure({ peers: [peer] });
  }
  return [a, b];
}

test('two tunnels in one process ping each other over IPv4 and IPv6 inside', async () => {
  const [a, b] = await pair();
  expect(await a.ping('10.0.0.2')).toBeGreaterThan(0);
  expect(await b.ping('fd00::1')).toBeGreaterThan(0);
  expect(a.status().peers[0]?.lastHandshakeAt).toBeGreaterThan(0);
});

test('a removed peer is not heard any more once configure has returned', async () => {
  const [a, b] = await pair();
  expect(await a.ping('10.0.0.2')).toBeGreaterThan(0);
  await b.configure({ peers: [{ publicKey: publicKey(0), remove: true }] });
  expect(await a.ping('10.0.0.2', { timeout: 200 })).toBeUndefined();
});

test('an invalid change is refused by name and changes nothing', async () => {
  const [a] = await pair();
  const before = a.status();
  await expect(
    a.configure({ peers: [{ publicKey: publicKey(1), persistentKeepalive: 70_000 }] }),
  ).rejects.toMatchObject({ code: 'invalid_argument', message: /peers\[0\]\.persistentKeepalive/ });
  expect(a.status()).toEqual(before);
});

test('a change with a port that is taken changes nothing else, either', async () => {
  const [a, b] = await pair();
  const before = a.status();
  const change = { listenPort: b.status().listenPort, replacePeers: true, privateKey: KEYS[1]! };
  await expect(a.configure(change)).rejects.toMatchObject({ code: 'address_in_use' });
  expect(a.status()).toEqual(before);
});

test('a firewall mark, which there is nothing to set on, is refused', async () => {
  const [a] = await pair();
  await expect(a.configure({ fwmark: 7 })).rejects.toMatchObject({
    code: 'not_supported',
    message: /fwmark/,
  });
  await a.configure({ fwmark: 0 });
  const options = { mode: 'userspace', privateKey: KEYS[0]!, fwmark: 7 } as const;
  await expect(createTunnel(options)).rejects.toMatchObject({ code: 'not_supported' });
});

test('changes that move the port and changes that do not apply in their order', async () => {
  const [a] = await pair();
  const peer = { publicKey: publicKey(1) };
  await Promise.all([
    a.configure({ listenPort: 0, peers: [{ ...peer, persistentKeepalive: 7 }] }),
    a.configure({ peers: [{ ...peer, persistentKeepalive: 8 }] }),
    a.configure({ listenPort: 0 }),
    a.configure({ peers: [{ ...peer, persistentKeepalive: 9 }] }),
  ]);
  expect(a.status().peers[0]?.persistentKeepalive).toBe(9);
});

test('a tunnel whose peers are in its options shakes hands at once', async () => {
  const b = await userspace(1);
  await b.configure({ peers: [peerChange({ publicKey: publicKey(0), allowedIps: ['10.0.0.1'] })] });
  const sent: number[] = [];
  const a = await createTunnel({
    mode: 'userspace',
    privateKey: KEYS[0]!,
    addresses: ['10.0.0.1/24'],
    port: (below) => traceDatagrams(below, ({ bytes }) => void sent.push(bytes[0]!)),
    peers: [
      {
        publicKey: publicKey(1),
        endpoint: `127.0.0.1:${b.listenPort}`,
        allowedIps: ['10.0.0.2'],
        persistentKeepalive: 25,
      },
    ],
  });
  open.push(a);
  await expect.poll(() => a.status().peers[0]?.lastHandshakeAt).toBeGreaterThan(0);
  // One initiation was enough: none was lost for want of a socket.
  expect(sent.filter((type) => type === 1)).toHaveLength(1);
  expect(a.status().drops.udpSendFailed).toBeUndefined();
});

test('more peers than there is room for are refused with the limit and its name', async () => {
  const small = await createTunnel({ mode: 'userspace', privateKey: KEYS[0]!, maxPeers: 2 });
  open.push(small);
  const peers = [2, 3, 4].map((byte) => ({ publicKey: new Uint8Array(32).fill(byte) }));
  await expect(small.configure({ peers })).rejects.toMatchObject({
    code: 'limit_exceeded',
    message: /3 to be added.* 2 \(maxPeers, MESH_MAX_PEERS\)/,
  });
  await small.configure({ peers: peers.slice(1) });
  await expect(
    createTunnel({ mode: 'userspace', privateKey: KEYS[0]!, maxPeers: 0 }),
  ).rejects.toMatchObject({ code: 'invalid_argument', message: /maxPeers/ });
});

test('the limit of peers is an option, or else the environment, and 20,480 without either', () => {
  expect(maxPeersOf(undefined, undefined)).toBe(20_480);
  expect(maxPeersOf(undefined, '30000')).toBe(30_000);
  expect(maxPeersOf(5, '30000')).toBe(5);
  expect(() => maxPeersOf(undefined, 'many')).toThrow('MESH_MAX_PEERS: expected a whole number');
});

test('a tunnel takes the peers of the largest mesh without being told', async () => {
  const a = await userspace(0);
  const peers = Array.from({ length: 10_000 }, (_, i) => {
    const publicKey = new Uint8Array(32).fill(9);
    new DataView(publicKey.buffer).setUint32(4, i);
    return { publicKey };
  });
  await a.configure({ peers });
  await a.configure({ replacePeers: true, peers });
  expect(a.status().peers).toHaveLength(10_000);
}, 60_000);

test('a listen port that is taken is refused and the old one stays', async () => {
  const [a, b] = await pair();
  const port = a.status().listenPort;
  await expect(a.configure({ listenPort: b.status().listenPort })).rejects.toMatchObject({
    code: 'address_in_use',
  });
  expect(a.status().listenPort).toBe(port);
  expect(await a.ping('10.0.0.2')).toBeGreaterThan(0);
});
