import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ended, type Namespace, until } from '../../lab/netns.ts';
import { findExecutable, REAL_INTERFACES, requires } from '../../lab/requirements.ts';
import { useLab } from '../../lab/use-lab.ts';
import { expectPing, ping, Site } from './pair.ts';
import { RemoteTunnel } from './remote-tunnel.ts';
import type { OpenOptions } from './tunnel-process.ts';

requires(
  ...REAL_INTERFACES,
  'ping',
  'socat',
  'nft',
)('a tunnel on Linux', () => {
  let site: Site;
  let folder: string;
  const lab = useLab(() => {
    site = new Site(lab);
  });
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tunnel-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const veth = (namespace: Namespace) =>
    namespace.interfaces().find((name) => name.startsWith(`${lab.prefix}v`))!;

  /** 4 MB over TCP in each direction at once, IPv4 one way and IPv6 the other. */
  async function transferBothWays(): Promise<void> {
    const content = randomBytes(4 << 20);
    const sent = join(folder, 'sent');
    writeFileSync(sent, content);
    const transfers = [
      [site.left, site.right, '10.7.0.2', 'TCP4'],
      [site.right, site.left, '[fd07::1]', 'TCP6'],
    ] as const;
    await Promise.all(
      transfers.map(async ([from, to, address, protocol]) => {
        const received = join(folder, `received-${protocol}`);
        const server = to.exec(['socat', '-u', `${protocol}-LISTEN:5000`, `CREATE:${received}`]);
        await until(() => to.run(['ss', '-ltn']).includes(':5000'), 'the listener');
        const client = await from.exec(['socat', '-u', `OPEN:${sent}`, `TCP:${address}:5000`]);
        expect(client).toMatchObject({ code: 0 });
        expect(await server).toMatchObject({ code: 0 });
        const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
        expect(hash(readFileSync(received))).toBe(hash(content));
      }),
    );
  }

  test('carries packets of both IP versions, both ways, and leaves nothing behind', async () => {
    const [a, b] = await site.pair();
    await expectPing(site.left, '10.7.0.2');
    await expectPing(site.right, 'fd07::1');
    await expectPing(site.right, '10.7.0.1', '-s', '1392');
    const { status } = await b.tunnel.state();
    expect(status.peers[0]?.endpoint?.address).toEqual(Uint8Array.of(192, 0, 2, 1));
    expect(status.peers[0]?.endpoint?.port).toBe(a.port);
    expect(status.peers[0]?.rxBytes).toBeGreaterThan(1500);
    // multicast that the kernel sends of itself has no peer to go to
    expect(Object.keys(status.drops).filter((d) => d !== 'noPeerForDestination')).toEqual([]);
    await a.tunnel.close();
    expect(site.left.interfaces()).not.toContain(a.name);
    await b.tunnel.close();
    expect(await a.tunnel.exited).toEqual({ code: 0, signal: null });
    expect(await b.tunnel.exited).toEqual({ code: 0, signal: null });
    expect(a.tunnel.stderr + b.tunnel.stderr).toBe('');
  });

  test('runs over IPv6', async () => {
    const outer = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    const [, b] = await site.pair({}, outer);
    await expectPing(site.left, '10.7.0.2');
    const { status } = await b.tunnel.state();
    expect(status.peers[0]?.endpoint?.family).toBe(6);
  });

  const off = { tunTcp: false, tunUdp: false, udpSegmentation: false, udpGro: false };
  test.each<[string, OpenOptions['offloads']]>([
    ['all offloads', {}],
    ['no offloads', off],
    ['offloads of the TUN device only', { udpSegmentation: false, udpGro: false }],
    ['offloads of UDP only', { tunTcp: false, tunUdp: false }],
  ])('transfers a file unchanged with %s, both ways at once', async (_what, offloads = {}) => {
    const [a, b] = await site.pair({ offloads });
    const expected = ['tun-tcp', 'tun-udp', 'udp-segment', 'udp-gro'].filter(
      (_name, i) =>
        Object.values({
          tunTcp: true,
          tunUdp: true,
          udpSegmentation: true,
          udpGro: true,
          ...offloads,
        })[i],
    );
    expect((await a.tunnel.state()).offloads).toEqual(expected);
    await transferBothWays();
    const { logs, status } = await b.tunnel.state();
    expect(logs).toEqual([]);
    expect(status.drops.authenticationFailed ?? 0).toBe(0);
  });

  test.each([
    ['smaller than its datagrams', 1280, 1420],
    ['that takes jumbo frames', 9000, 8920],
  ])('transfers over a path %s', async (_what, pathMtu, mtu) => {
    const links = [site.left, site.right].map((namespace) => ({
      namespace,
      name: veth(namespace),
    }));
    for (const { namespace, name } of links) {
      namespace.run(['ip', 'link', 'set', name, 'mtu', String(pathMtu)]);
    }
    const [a, b] = await site.pair({ mtu });
    await expectPing(site.left, '10.7.0.2', '-s', String(mtu - 28), '-M', 'do');
    await transferBothWays();
    const states = await Promise.all([a.tunnel.state(), b.tunnel.state()]);
    for (const { status } of states) expect(status.drops.udpSendFailed ?? 0).toBe(0);
    for (const { namespace, name } of links) {
      namespace.run(['ip', 'link', 'set', name, 'mtu', '1500']);
    }
  });

  test('replies from the address that was spoken to', async () => {
    for (const outer of [
      [192, 0, 2, 12],
      [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12],
    ]) {
      const [a, b] = await site.pair({}, outer);
      await expectPing(site.left, '10.7.0.2');
      // had it answered from .2, the initiator's endpoint would have moved there
      const { status } = await a.tunnel.state();
      expect([...status.peers[0]!.endpoint!.address]).toEqual(outer);
      await Promise.all([a.tunnel.close(), b.tunnel.close()]);
    }
  });

  test('sends from another address once the one spoken to is gone', async () => {
    const [a, b] = await site.pair({}, [192, 0, 2, 12]);
    await expectPing(site.left, '10.7.0.2');
    site.right.run(['ip', 'address', 'del', '192.0.2.12/24', 'dev', veth(site.right)]);
    await ping(site.left, '10.7.0.2', '-c1'); // goes to the lost address
    await expectPing(site.right, '10.7.0.1');
    const { status } = await a.tunnel.state();
    expect([...status.peers[0]!.endpoint!.address]).toEqual([192, 0, 2, 2]);
    expect((await b.tunnel.state()).status.drops.udpSendFailed ?? 0).toBe(0);
  });

  test('moves to another port while it runs', async () => {
    const [a, b] = await site.pair();
    await expectPing(site.left, '10.7.0.2');
    const port = b.port === 40_000 ? 40_001 : 40_000;
    await b.tunnel.configure({ listenPort: port });
    expect((await b.tunnel.state()).status.listenPort).toBe(port);
    await expectPing(site.right, '10.7.0.1'); // the other side learns where it is now
    const { status } = await a.tunnel.state();
    expect(status.peers[0]?.endpoint?.port).toBe(port);
    await b.tunnel.configure({ listenPort: 0 });
    expect((await b.tunnel.state()).status.listenPort).not.toBe(port);
    await expectPing(site.right, '10.7.0.1');
  });

  test('refuses a taken port, and nothing of that change is applied', async () => {
    const [a] = await site.pair();
    const other = await site.open(1);
    await expect(
      a.tunnel.configure({ listenPort: other.port, replacePeers: true }),
    ).rejects.toMatchObject({ code: 'address_in_use' });
    await expect(
      a.tunnel.configure({ listenPort: 0, fwmark: 3, peers: [{ publicKey: new Uint8Array(3) }] }),
    ).rejects.toMatchObject({ code: 'invalid_argument' });
    const { status } = await a.tunnel.state();
    expect(status).toMatchObject({ listenPort: a.port, fwmark: 0 });
    expect(status.peers).toHaveLength(1);
  });

  test('marks its packets', async () => {
    const [a] = await site.pair({ fwmark: 0x51 });
    site.left.run([
      'nft',
      'add table inet t; add chain inet t o { type filter hook output priority 0; }; add rule inet t o udp dport > 0 meta mark 0x51 counter; add rule inet t o udp dport > 0 meta mark 0x52 counter'.replaceAll(
        ' ;',
        ';',
      ),
    ]);
    const counted = () =>
      [...site.left.run(['nft', 'list', 'chain', 'inet', 't', 'o']).matchAll(/bytes (\d+)/g)].map(
        (match) => Number(match[1]),
      );
    await expectPing(site.left, '10.7.0.2');
    // Bytes: echoes that waited for the handshake leave in one piece, with one pair of headers.
    const headers = 28;
    const echoes = headers + 3 * 128;
    const [first, second] = counted();
    expect(first).toBeGreaterThanOrEqual(headers + 148 + echoes);
    expect(second).toBe(0);
    await a.tunnel.configure({ fwmark: 0x52 });
    await expectPing(site.left, '10.7.0.2');
    expect(counted()[1]).toBeGreaterThanOrEqual(echoes);
    expect((await a.tunnel.state()).status.fwmark).toBe(0x52);
    site.left.run(['nft', 'delete', 'table', 'inet', 't']);
  });

  test('carries packets while it is flooded with forged handshakes', async () => {
    const [, b] = await site.pair();
    await expectPing(site.left, '10.7.0.2');
    const script = `
      const socket = require('node:dgram').createSocket('udp4');
      const message = Buffer.alloc(148);
      message[0] = 1;
      const burst = () => {
        for (let i = 0; i < 200; i++) socket.send(message, ${b.port}, '192.0.2.2');
        setTimeout(burst, 1);
      };
      burst();`;
    const flood = site.left.spawn([process.execPath, '-e', script]);
    await until(
      async () => ((await b.tunnel.state()).status.drops.mac1Invalid ?? 0) > 2000,
      'the flood to arrive',
    );
    // one at a time: where the flood fills the socket's buffer, it takes what comes with it along
    await until(
      async () => (await ping(site.left, '10.7.0.2', '-c1', '-W1')).code === 0,
      'a packet to pass',
    );
    flood.kill('SIGKILL');
    await ended(flood);
    const { status } = await b.tunnel.state();
    expect(status.peers[0]?.endpoint?.address).toEqual(Uint8Array.of(192, 0, 2, 1));
    expect(status.peers).toHaveLength(1);
  });

  test('a removed peer can neither send nor receive', async () => {
    const [a, b] = await site.pair();
    await expectPing(site.left, '10.7.0.2');
    await b.tunnel.configure({ peers: [{ publicKey: site.peer(1).publicKey, remove: true }] });
    expect((await ping(site.left, '10.7.0.2', '-c1', '-W1')).code).not.toBe(0);
    const { status } = await b.tunnel.state();
    expect(status.peers).toEqual([]);
    expect(status.drops.unknownReceiverIndex).toBeGreaterThan(0);
    await b.tunnel.configure({ peers: [site.peer(1, a.port)] });
    await expectPing(site.right, '10.7.0.1');
  });

  test('a new pre-shared key takes effect on a running tunnel', async () => {
    const [a, b] = await site.pair();
    await expectPing(site.left, '10.7.0.2');
    for (const generation of [1, 2]) {
      const presharedKey = randomBytes(32);
      const change = (side: 1 | 2) => ({
        peers: [{ publicKey: site.peer(side).publicKey, presharedKey, generation }],
      });
      await Promise.all([a.tunnel.configure(change(2)), b.tunnel.configure(change(1))]);
      await until(
        async () => (await a.tunnel.state()).status.peers[0]?.generation === generation,
        `generation ${generation}`,
      );
      await expectPing(site.left, '10.7.0.2');
    }
    const peer = async () => (await a.tunnel.state()).status.peers[0]!;
    const before = (await peer()).lastHandshakeAt!;
    await a.tunnel.call('expireKeypairs', 3);
    await until(async () => {
      const { generation, lastHandshakeAt } = await peer();
      return generation === 2 && lastHandshakeAt! > before;
    }, 'a new session in place of the expired one');
    await expectPing(site.left, '10.7.0.2');
  });

  test('says what is missing', async () => {
    const [a] = await Promise.all([site.open(1)]);
    await expect(RemoteTunnel.open(site.left, { name: a.name })).rejects.toMatchObject({
      code: 'name_in_use',
    });
    await expect(RemoteTunnel.open(site.left, { name: 'a b' })).rejects.toMatchObject({
      code: 'invalid_argument',
    });
    await expect(
      RemoteTunnel.open(site.left, { name: lab.interfaceName('p'), listenPort: a.port }),
    ).rejects.toMatchObject({ code: 'address_in_use' });
    const setpriv = findExecutable('setpriv');
    if (setpriv === undefined) return;
    const unprivileged = [setpriv, '--bounding-set=-net_admin', '--inh-caps=-net_admin'];
    await expect(
      RemoteTunnel.open(site.left, { name: lab.interfaceName('q') }, unprivileged),
    ).rejects.toMatchObject({
      code: 'not_permitted',
      message: 'TUNSETIFF: EPERM: needs CAP_NET_ADMIN; run as root or use userspace mode',
    });
  });
});
