import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/agent/clock.ts';
import { UapiTunnel } from '../../src/agent/uapi-tunnel.ts';
import { Watchdog } from '../../src/agent/watchdog.ts';
import type { PeerChange } from '../../src/tunnel/create-tunnel.ts';
import { uapiGet } from '../../src/tunnel/uapi/client.ts';
import { UapiServer } from '../../src/tunnel/uapi/server.ts';
import { FakeTunnel } from './support/fake-tunnel.ts';
import { temporaryDirectory } from './support/rig.ts';

const bytes = (value: number) => new Uint8Array(32).fill(value);

let directory: ReturnType<typeof temporaryDirectory>;
let socket: string;
/** Stands for the foreign device behind the socket. */
let device: FakeTunnel;
let server: UapiServer | undefined;
let tunnel: UapiTunnel;

beforeEach(async () => {
  directory = temporaryDirectory();
  socket = join(directory.path, 'foreign.sock');
  device = new FakeTunnel();
  server = await UapiServer.listen({ tunnel: device, path: socket });
  tunnel = tunnelThatRenewsAfter(60_000); // not while a test looks at what it did
});
afterEach(async () => {
  await tunnel.close();
  await server?.close();
  directory.remove();
});

const tunnelThatRenewsAfter = (renewAfterMs: number) =>
  new UapiTunnel({ socket, ownKey: bytes(1), clock: systemClock, renewAfterMs });

const peer = (key: number, change: Partial<PeerChange> = {}): PeerChange => ({
  publicKey: bytes(key),
  presharedKey: bytes(100 + key),
  generation: 1,
  expireBefore: 1,
  endpoint: { family: 4, address: new Uint8Array([192, 0, 2, key]), port: 51820, scope: 0 },
  replaceAllowedIps: true,
  allowedIps: [{ prefix: { address: new Uint8Array([10, 10, 0, key]), length: 32 } }],
  ...change,
});

test('opening gives the device its identity and empties it', async () => {
  await device.configure({ peers: [peer(9)] });
  await tunnel.open(bytes(7), 4500);
  expect(device.peers.size).toBe(0);
  expect(device.changes.at(-1)).toMatchObject({ privateKey: bytes(7), listenPort: 4500 });
});

test('a peer reaches the foreign device whole, and its status comes back', async () => {
  await tunnel.open(bytes(7), 4500);
  await tunnel.configure({ peers: [peer(2)] });
  expect(device.changes.at(-1)!.peers).toMatchObject([
    { publicKey: bytes(2), presharedKey: bytes(102), endpoint: { port: 51820 } },
  ]);
  expect(tunnel.status().peers).toMatchObject([
    { publicKey: bytes(2), endpoint: { address: new Uint8Array([192, 0, 2, 2]) } },
  ]);
  await tunnel.configure({ peers: [{ publicKey: bytes(2), remove: true }] });
  expect(device.peers.size).toBe(0);
});

test('a key to be worked out is worked out for it, and routes are said again with every key', async () => {
  await tunnel.open(bytes(7), 4500);
  await tunnel.configure({ peers: [peer(2, { presharedKey: () => bytes(42) })] });
  expect(device.changes.at(-1)!.peers).toMatchObject([{ presharedKey: bytes(42) }]);
  const presharedKey = () => bytes(43);
  await tunnel.configure({ peers: [{ publicKey: bytes(2), presharedKey, generation: 2 }] });
  expect(device.changes.at(-1)!.peers).toMatchObject([
    { presharedKey: bytes(43), replaceAllowedIps: true, allowedIps: peer(2).allowedIps },
  ]);
});

test('a governed peer without a PSK is refused before the device hears of it', async () => {
  await tunnel.open(bytes(7), 4500);
  const { presharedKey: _, ...without } = peer(2);
  await expect(tunnel.configure({ peers: [without] })).rejects.toThrow(/pre-shared key/);
  const zero = peer(2, { presharedKey: new Uint8Array(32) });
  await expect(tunnel.configure({ peers: [zero] })).rejects.toThrow(/pre-shared key/);
  expect(device.peers.size).toBe(0);
});

test('a peer that was out in between loses its sessions: it is removed and added in one request', async () => {
  await tunnel.open(bytes(7), 4500);
  await tunnel.configure({ peers: [peer(2)] });
  await tunnel.configure({ peers: [peer(2, { generation: 2 })] });
  expect(device.changes.at(-1)!.peers).toHaveLength(1); // rotation alone ends nothing
  await tunnel.configure({ peers: [peer(2, { generation: 4, expireBefore: 4 })] });
  expect(device.changes.at(-1)!.peers).toMatchObject([
    { remove: true },
    { presharedKey: bytes(102), endpoint: { port: 51820 } },
  ]);
  await tunnel.expireKeypairs(5);
  expect(device.changes.at(-1)!.peers).toMatchObject([
    { remove: true },
    { replaceAllowedIps: true },
  ]);
  expect(device.peers.size).toBe(1);
});

test('where no handshake comes in time the peer is added again, which starts one', async () => {
  await tunnel.close();
  tunnel = tunnelThatRenewsAfter(300);
  await tunnel.open(bytes(7), 4500);
  await tunnel.configure({ peers: [peer(2)] });
  const renewals = () => tunnel.status().drops.foreignPeerAddedAgain;
  await expect.poll(renewals).toBeGreaterThanOrEqual(1);
  const [removed, added] = device.changes.at(-1)!.peers!;
  expect(removed).toMatchObject({ remove: true });
  expect(added).toMatchObject({ presharedKey: bytes(102), persistentKeepalive: 25 });
});

test('where a peer may be in several places, each new attempt is at another one', async () => {
  await tunnel.close();
  tunnel = tunnelThatRenewsAfter(50);
  await tunnel.open(bytes(7), 4500);
  const at = (host: number) => peer(host).endpoint!;
  await tunnel.configure({ peers: [peer(2, { candidates: [at(2), at(3), at(4)] })] });
  const tried = () =>
    new Set(
      device.changes.flatMap(({ peers = [] }) => peers.map((one) => one.endpoint?.address[3])),
    );
  await expect.poll(() => tried().has(3) && tried().has(4)).toBe(true);
});

test('a device that is gone ends the tunnel', async () => {
  await tunnel.open(bytes(7), 4500);
  await server!.close();
  server = undefined;
  expect(await tunnel.closed).toBeInstanceOf(Error);
});

test('an error of the device names the errno and no key', async () => {
  await tunnel.open(bytes(7), 4500);
  device.refuse = () => true;
  const failed = tunnel.configure({ peers: [peer(2)] });
  await expect(failed).rejects.toThrow(/refused with errno/);
  await failed.catch((error) => expect(String(error)).not.toContain('66666666'));
});

test('the watchdog empties the device when the lease is over, and again after a new one', async () => {
  const watchdog = new Watchdog(socket);
  try {
    await device.configure({ peers: [peer(2)] });
    watchdog.lease(systemClock.boot() + 1);
    expect((await uapiGet(socket)).peers).toHaveLength(1);
    await expect.poll(() => device.peers.size).toBe(0);
    await device.configure({ peers: [peer(2)] });
    watchdog.lease(systemClock.boot() + 0.5);
    await expect.poll(() => device.peers.size).toBe(0);
  } finally {
    watchdog.release();
  }
});

test('an agent whose only thread stands still leaves an empty device when its lease is over', async () => {
  const script = `
    const { Watchdog } = await import('${resolve('src/agent/watchdog.ts')}');
    const { uptime } = await import('node:os');
    const watchdog = new Watchdog(${JSON.stringify(socket)});
    watchdog.lease(uptime() + 2);
    process.send('ready');
    // What a write to a terminal that nobody reads does, or a frozen disk.
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
  `;
  await device.configure({ peers: [peer(2)] });
  const agent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  try {
    await once(agent, 'message');
    expect(device.peers.size).toBe(1);
    await expect.poll(() => device.peers.size).toBe(0);
    expect(agent.exitCode).toBeNull(); // it is still there, and still
  } finally {
    agent.kill('SIGKILL');
    await once(agent, 'exit');
  }
});

test('an agent that is killed leaves an empty device, one that ends in order is not interfered with', async () => {
  const script = `
    const { Watchdog } = await import('${resolve('src/agent/watchdog.ts')}');
    const watchdog = new Watchdog(${JSON.stringify(socket)});
    watchdog.lease(1e12);
    process.stdin.on('data', () => { watchdog.release(); process.exit(); });
    console.log('guarded');`;
  const agent = (): ChildProcess =>
    spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
  await device.configure({ peers: [peer(2)] });
  const orderly = agent();
  await once(orderly.stdout!, 'data');
  orderly.stdin!.write('go\n');
  await once(orderly, 'exit');
  const killed = agent();
  await once(killed.stdout!, 'data');
  expect(device.peers.size).toBe(1);
  killed.kill('SIGKILL');
  await expect.poll(() => device.peers.size).toBe(0);
});

test('a watchdog ends when there is no device left to guard', async () => {
  const program = resolve('src/agent/watchdog-process.ts');
  const gone = spawn(process.execPath, [program, `${socket}.gone`], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  gone.stdin!.end('1e12\n'); // its agent dies together with the device
  expect(await once(gone, 'exit')).toEqual([0, null]);
});
