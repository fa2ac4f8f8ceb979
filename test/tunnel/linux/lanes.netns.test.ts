import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inboundThread, outboundThread } from '../../../src/tunnel/linux/messages.ts';
import { until } from '../../lab/netns.ts';
import { REAL_INTERFACES, requires } from '../../lab/requirements.ts';
import { useLab } from '../../lab/use-lab.ts';
import { expectPing, ping, privateKey, publicKey, type Side, Site } from './pair.ts';
import { RemoteTunnel } from './remote-tunnel.ts';

const PAIRS = { workerPairs: 2 };
const STREAMS = 6;

requires(
  ...REAL_INTERFACES,
  'ping',
  'socat',
)('a tunnel with two pairs of workers', () => {
  let site: Site;
  let folder: string;
  const lab = useLab(() => {
    site = new Site(lab);
  });
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'lanes-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const processFolder = ({ namespace, tunnel }: Side, what: string) =>
    namespace
      .run(['ls', `/proc/${tunnel.process.pid}/${what}`])
      .trim()
      .split('\n').length;

  /** Several TCP streams at once, every other one the other way. */
  async function transfer(): Promise<void> {
    const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
    await Promise.all(
      Array.from({ length: STREAMS }, async (_, i) => {
        const content = randomBytes(2 << 20);
        const sent = join(folder, `sent-${i}`);
        const received = join(folder, `received-${i}`);
        writeFileSync(sent, content);
        const forth = i % 2 === 0;
        const [from, to] = forth ? [site.left, site.right] : [site.right, site.left];
        const port = 5000 + i;
        const server = to.exec(['socat', '-u', `TCP-LISTEN:${port}`, `CREATE:${received}`]);
        await until(() => to.run(['ss', '-ltn']).includes(`:${port} `), 'the listener');
        const target = `TCP:10.7.0.${forth ? 2 : 1}:${port}`;
        expect(await from.exec(['socat', '-u', `OPEN:${sent}`, target])).toMatchObject({ code: 0 });
        expect(await server).toMatchObject({ code: 0 });
        expect(hash(readFileSync(received))).toBe(hash(content));
      }),
    );
  }

  test('carries pings and several TCP streams unchanged', async () => {
    const [a, b] = await site.pair(PAIRS);
    await expectPing(site.left, '10.7.0.2');
    await expectPing(site.right, 'fd07::1');
    await transfer();
    for (const { tunnel } of [a, b]) {
      const { workerPairs, logs, status } = await tunnel.state();
      expect(workerPairs).toBe(2);
      expect(logs).toEqual([]);
      expect(status.drops.authenticationFailed ?? 0).toBe(0);
      expect(status.peers[0]!.rxBytes).toBeGreaterThan(6 << 20);
      expect(status.peers[0]!.txBytes).toBeGreaterThan(6 << 20);
    }
    await Promise.all([a.tunnel.close(), b.tunnel.close()]);
    expect(a.tunnel.stderr + b.tunnel.stderr).toBe('');
  });

  test('keeps what comes from a peer on one pair, and another endpoint may be on another', async () => {
    const [a, b] = await site.pair(PAIRS);
    await expectPing(site.left, '10.7.0.2');
    await transfer();
    const { packetsByLane } = await a.tunnel.state();
    expect(packetsByLane.filter(({ received }) => received > 0)).toHaveLength(1);
    for (let move = 0; move < 12; move++) {
      await b.tunnel.configure({ listenPort: 0 });
      await expectPing(site.right, '10.7.0.1', '-c1');
    }
    const moved = (await a.tunnel.state()).packetsByLane;
    // Misses one with probability 2^-12; sending follows receiving, as the kernel keeps flows together.
    for (const { sent, received } of moved) {
      expect(received).toBeGreaterThan(0);
      expect(sent).toBeGreaterThan(0);
    }
    expect((await a.tunnel.state()).status.drops.replayed ?? 0).toBe(0);
  });

  test('talks to a tunnel with one pair', async () => {
    const [a, b] = await Promise.all([site.open(1, PAIRS), site.open(2, { workerPairs: 1 })]);
    await b.tunnel.configure({ peers: [site.peer(1)] });
    await a.tunnel.configure({ peers: [site.peer(2, b.port)] });
    await expectPing(site.left, '10.7.0.2');
    await transfer();
    expect((await b.tunnel.state()).workerPairs).toBe(1);
  });

  test('serves several peers, and each one goes when it is removed', async () => {
    const hub = await site.open(1, PAIRS);
    const others = [2, 3, 4, 5];
    const ports: number[] = [];
    for (const side of others) {
      const tunnel = await RemoteTunnel.open(site.right, {
        name: lab.interfaceName(`s${side}`),
        privateKey: privateKey(side),
        addresses: [`10.8.${side}.1/32`],
        ...PAIRS,
      });
      ports.push((await tunnel.state()).status.listenPort);
      await tunnel.configure({
        peers: [
          {
            publicKey: publicKey(1),
            allowedIps: [{ prefix: { address: Uint8Array.of(10, 7, 0, 1), length: 32 } }],
            endpoint: {
              family: 4,
              address: Uint8Array.of(192, 0, 2, 1),
              port: hub.port,
              scope: 0,
            },
          },
        ],
      });
    }
    await hub.tunnel.configure({
      peers: others.map((side, i) => ({
        publicKey: publicKey(side),
        allowedIps: [{ prefix: { address: Uint8Array.of(10, 8, side, 1), length: 32 } }],
        endpoint: {
          family: 4,
          address: Uint8Array.of(192, 0, 2, 2),
          port: ports[i]!,
          scope: 0,
        },
      })),
    });
    site.left.run(['ip', 'route', 'add', '10.8.0.0/16', 'dev', hub.name]);
    // The way back is through each peer's own interface, by the address it answers from.
    for (const side of others) {
      const table = String(100 + side);
      const name = lab.interfaceName(`s${side}`);
      site.right.run(['ip', 'route', 'add', '10.7.0.1/32', 'dev', name, 'table', table]);
      site.right.run(['ip', 'rule', 'add', 'from', `10.8.${side}.1`, 'table', table]);
    }
    await Promise.all(others.map((side) => expectPing(site.left, `10.8.${side}.1`)));
    await hub.tunnel.configure({ peers: [{ publicKey: publicKey(3), remove: true }] });
    expect((await ping(site.left, '10.8.3.1', '-c1', '-W1')).code).not.toBe(0);
    await Promise.all([2, 4, 5].map((side) => expectPing(site.left, `10.8.${side}.1`)));
    const { status } = await hub.tunnel.state();
    expect(status.peers).toHaveLength(3);
    for (const { rxBytes } of status.peers) expect(rxBytes).toBeGreaterThan(700);
    for (const side of others) {
      site.right.run(['ip', 'rule', 'del', 'from', `10.8.${side}.1`]);
    }
  });

  test('goes on with a new keypair while packets flow', async () => {
    const [a, b] = await site.pair(PAIRS);
    await expectPing(site.left, '10.7.0.2');
    for (const generation of [1, 2, 3]) {
      const presharedKey = randomBytes(32);
      const change = (side: 1 | 2) => ({
        peers: [{ publicKey: publicKey(side), presharedKey, generation }],
      });
      await Promise.all([transfer(), a.tunnel.configure(change(2)), b.tunnel.configure(change(1))]);
      await until(
        async () => (await a.tunnel.state()).status.peers[0]?.generation === generation,
        `generation ${generation}`,
      );
      await expectPing(site.right, '10.7.0.1');
    }
  });

  test('moves to another port while it runs; a port or name in use is refused', async () => {
    const [a, b] = await site.pair(PAIRS);
    await expectPing(site.left, '10.7.0.2');
    const port = b.port === 40_000 ? 40_001 : 40_000;
    await b.tunnel.configure({ listenPort: port });
    expect((await b.tunnel.state()).status.listenPort).toBe(port);
    await expectPing(site.right, '10.7.0.1');
    await transfer();
    // Its own sockets share the port; nobody else's may.
    await expect(
      RemoteTunnel.open(site.right, { name: lab.interfaceName('q'), listenPort: port, ...PAIRS }),
    ).rejects.toMatchObject({ code: 'address_in_use' });
    await expect(RemoteTunnel.open(site.right, { name: b.name, ...PAIRS })).rejects.toMatchObject({
      code: 'name_in_use',
    });
    await expect(
      RemoteTunnel.open(site.right, { name: b.name, workerPairs: 1 }),
    ).rejects.toMatchObject({ code: 'name_in_use' });
    const other = await site.open(1, PAIRS);
    await expect(a.tunnel.configure({ listenPort: other.port })).rejects.toMatchObject({
      code: 'address_in_use',
    });
    await expectPing(site.left, '10.7.0.2');
  });

  test('leaves no thread, descriptor or interface when it is closed', async () => {
    const side = await site.open(1, PAIRS);
    await side.tunnel.call('close');
    expect(site.left.interfaces()).not.toContain(side.name);
    const options = { name: side.name, listenPort: side.port, ...PAIRS };
    const closed = [processFolder(side, 'fd'), processFolder(side, 'task')];
    for (let round = 0; round < 3; round++) {
      await side.tunnel.call('open', options);
      expect(processFolder(side, 'task')).toBeGreaterThanOrEqual(closed[1]! + 4);
      await side.tunnel.configure({ listenPort: 0 });
      await side.tunnel.configure({ listenPort: side.port });
      await side.tunnel.call('close');
      expect(site.left.interfaces()).not.toContain(side.name);
    }
    expect([processFolder(side, 'fd'), processFolder(side, 'task')]).toEqual(closed);
    await side.tunnel.close();
    expect(await side.tunnel.exited).toEqual({ code: 0, signal: null });
  });

  test('ends when its interface is deleted', async () => {
    const side = await site.open(1, PAIRS);
    site.left.run(['ip', 'link', 'del', side.name]);
    expect(await side.tunnel.closed).toBeUndefined();
    await side.tunnel.close();
  });

  test.each([
    ['outbound', outboundThread(1)],
    ['inbound', inboundThread(1)],
  ])('ends closed when the %s worker of the second pair crashes', async (what, thread) => {
    const [a] = await site.pair(PAIRS);
    await expectPing(site.left, '10.7.0.2');
    await a.tunnel.call('crashWorker', thread);
    expect(await a.tunnel.closed).toMatch(new RegExp(`^${what}-worker failed: `));
    expect(site.left.interfaces()).not.toContain(a.name);
  });

  test('works with the fewest peers there can be', async () => {
    const [a, b] = await site.pair({ ...PAIRS, maxPeers: 1 });
    await expectPing(site.left, '10.7.0.2');
    await Promise.all([a.tunnel.close(), b.tunnel.close()]);
  });

  test('has one pair on a device that somebody made with one queue', async () => {
    const name = lab.interfaceName('t');
    site.left.run(['ip', 'tuntap', 'add', name, 'mode', 'tun', 'vnet_hdr']);
    const tunnel = await RemoteTunnel.open(site.left, { name, ...PAIRS });
    const { workerPairs, logs } = await tunnel.state();
    expect(workerPairs).toBe(1);
    expect(logs.join()).toContain('one pair of workers');
    await tunnel.close();
    site.left.run(['ip', 'link', 'del', name]);
  });

  test.each([0, 9, 1.5, -1])('refuses %d pairs', async (workerPairs) => {
    await expect(
      RemoteTunnel.open(site.left, { name: lab.interfaceName('r'), workerPairs }),
    ).rejects.toMatchObject({ code: 'invalid_argument' });
  });
});
