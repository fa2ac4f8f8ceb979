import { beforeEach, expect, test } from 'vitest';
import { type Namespace, until } from '../../lab/netns.ts';
import { REAL_INTERFACES, requires } from '../../lab/requirements.ts';
import { useLab } from '../../lab/use-lab.ts';
import { privateKey, publicKey } from './pair.ts';
import { RemoteTunnel } from './remote-tunnel.ts';

/**
 * A client with two uplinks to a router that, like those of providers, drops what comes from a source
 * that does not belong to the uplink. The server is behind the router.
 */
requires(...REAL_INTERFACES, 'ping')('a tunnel with two uplinks', () => {
  let client: Namespace;
  let server: Namespace;
  let router: Namespace;
  let uplinks: string[];
  let far: RemoteTunnel;
  let near: RemoteTunnel;
  const lab = useLab();

  beforeEach(async () => {
    client = lab.namespace('client');
    router = lab.namespace('router');
    server = lab.namespace('server');
    const [first, atRouter1] = lab.veth(client, router, {
      left: ['10.1.0.2/24'],
      right: ['10.1.0.1/24'],
    });
    const [second, atRouter2] = lab.veth(client, router, {
      left: ['10.2.0.2/24'],
      right: ['10.2.0.1/24'],
    });
    lab.veth(server, router, { left: ['10.9.0.2/24'], right: ['10.9.0.1/24'] });
    uplinks = [first, second];
    server.run(['ip', 'route', 'add', 'default', 'via', '10.9.0.1']);
    const strict = ['all', atRouter1, atRouter2].map((name) => `net.ipv4.conf.${name}.rp_filter=1`);
    router.run(['sysctl', '-qw', 'net.ipv4.ip_forward=1', ...strict]);
    const loose = ['all', first, second].map((name) => `net.ipv4.conf.${name}.rp_filter=0`);
    client.run(['sysctl', '-qw', ...loose]);
    client.run(['ip', 'route', 'add', 'default', 'via', '10.1.0.1', 'metric', '100']);
    const open = (namespace: Namespace, side: number) =>
      RemoteTunnel.open(namespace, {
        name: lab.interfaceName(`u${side}`),
        privateKey: privateKey(side),
        addresses: [`10.7.0.${side}/24`],
      });
    [near, far] = await Promise.all([open(client, 1), open(server, 2)]);
    const { listenPort } = (await far.state()).status;
    await far.configure({ peers: [peer(1)] });
    const address = Uint8Array.of(10, 9, 0, 2);
    const endpoint = { family: 4, address, port: listenPort, scope: 0 } as const;
    await near.configure({ peers: [{ ...peer(2), endpoint }] });
    expect((await answers(3)).missed).toBe(0);
    expect(await source()).toEqual([10, 1, 0, 2]);
    return async () => {
      for (const tunnel of [near, far]) tunnel.process.kill('SIGKILL');
      await Promise.all([near.exited, far.exited]);
      for (const namespace of [client, router, server]) lab.remove(namespace);
    };
  });

  const peer = (side: number) => ({
    publicKey: publicKey(side),
    allowedIps: [{ prefix: { address: Uint8Array.of(10, 7, 0, side), length: 32 } }],
  });

  /** The client's address that the peer was reached by last, or undefined. */
  async function source(): Promise<number[] | undefined> {
    const { endpoint } = (await near.state()).status.peers[0]!;
    return endpoint?.source && [...endpoint.source];
  }

  async function answers(count: number): Promise<{ missed: number }> {
    const { stdout } = await client.exec(['ping', `-c${count}`, '-i0.2', '-W1', '10.7.0.2']);
    return { missed: count - Number(/(\d+) received/.exec(stdout)![1]) };
  }

  test('follows the default route to the other one, with an address of that one', async () => {
    client.run(['ip', 'route', 'add', 'default', 'via', '10.2.0.1', 'metric', '50']);
    await until(async () => (await answers(1)).missed === 0, 'an answer by the other uplink', 6000);
    expect(await source()).toEqual([10, 2, 0, 2]);
    expect((await answers(10)).missed).toBe(0);
  });

  test('keeps the source address where a change of routes does not concern the peer', async () => {
    client.run(['ip', 'route', 'add', '192.0.2.0/24', 'via', '10.2.0.1']);
    client.run(['ip', 'route', 'add', 'default', 'via', '10.2.0.1', 'metric', '200']);
    expect((await answers(10)).missed).toBe(0);
    expect(await source()).toEqual([10, 1, 0, 2]);
  });

  test('goes on when the uplink that it used goes down', async () => {
    client.run(['ip', 'route', 'add', 'default', 'via', '10.2.0.1', 'metric', '200']);
    client.run(['ip', 'link', 'set', uplinks[0]!, 'down']);
    await until(async () => (await answers(1)).missed === 0, 'an answer by the other uplink', 6000);
    expect(await source()).toEqual([10, 2, 0, 2]);
  });
});
