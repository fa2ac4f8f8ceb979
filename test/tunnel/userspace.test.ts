import { afterEach, expect, test } from 'vitest';
import { nodeProvider } from '../../src/crypto/node.ts';
import { createTunnel, peerChange, type UserspaceTunnel } from '../../src/tunnel/create-tunnel.ts';

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

test('a listen port that is taken is refused and the old one stays', async () => {
  const [a, b] = await pair();
  const port = a.status().listenPort;
  await expect(a.configure({ listenPort: b.status().listenPort })).rejects.toMatchObject({
    code: 'address_in_use',
  });
  expect(a.status().listenPort).toBe(port);
  expect(await a.ping('10.0.0.2')).toBeGreaterThan(0);
});
