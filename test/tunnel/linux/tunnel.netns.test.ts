import { expect, onTestFinished, test } from 'vitest';
import { nodeProvider } from '../../../src/crypto/node.ts';
import { type Namespace, useLab } from '../../support/netns.ts';
import { requires } from '../../support/requirements.ts';
import { RemoteTunnel } from './remote-tunnel.ts';
import type { OpenOptions } from './tunnel-process.ts';

const key = (seed: number) => new Uint8Array(32).fill(seed);
const prefix = (...address: number[]) => ({
  address: Uint8Array.from(address),
  length: address.length * 8,
});

requires(
  'linux',
  'root',
  'tun',
  'netns',
  'node:ffi',
  'ping',
)('a tunnel on Linux', () => {
  let left: Namespace;
  let right: Namespace;
  let count = 0;
  const lab = useLab(() => {
    left = lab.namespace('left');
    right = lab.namespace('right');
    lab.veth(left, right, {
      left: ['192.0.2.1/24', '192.0.2.11/24', '2001:db8::1/64'],
      right: ['192.0.2.2/24', '192.0.2.12/24', '2001:db8::2/64'],
    });
  });

  async function open(namespace: Namespace, options: Partial<OpenOptions> = {}) {
    const name = lab.interfaceName(`w${count++}`);
    const tunnel = await RemoteTunnel.open(namespace, { name, up: true, ...options });
    onTestFinished(() => void tunnel.process.kill('SIGKILL'));
    return { tunnel, name };
  }

  /** Two tunnels that know each other; only the left one knows where the other is. */
  async function pair(options: Partial<OpenOptions> = {}) {
    const [a, b] = await Promise.all([open(left, options), open(right, options)]);
    for (const [namespace, name, host] of [
      [left, a.name, 1],
      [right, b.name, 2],
    ] as const) {
      namespace.run(['ip', 'address', 'add', `10.7.0.${host}/24`, 'dev', name]);
      namespace.run(['ip', 'address', 'add', `fd07::${host}/64`, 'dev', name, 'nodad']);
    }
    const port = (await b.tunnel.state()).status.listenPort;
    await b.tunnel.configure({
      privateKey: key(2),
      peers: [
        {
          publicKey: nodeProvider.x25519Public(key(1)),
          allowedIps: [10, 253].map(inner(1)),
        },
      ],
    });
    await a.tunnel.configure({
      privateKey: key(1),
      peers: [
        {
          publicKey: nodeProvider.x25519Public(key(2)),
          endpoint: { family: 4, address: Uint8Array.of(192, 0, 2, 2), port, scope: 0 },
          allowedIps: [10, 253].map(inner(2)),
        },
      ],
    });
    return { a: a.tunnel, b: b.tunnel, nameA: a.name, nameB: b.name };
  }
  const inner = (host: number) => (first: number) => ({
    prefix:
      first === 10
        ? prefix(10, 7, 0, host)
        : prefix(0xfd, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host),
  });

  const ping = (from: Namespace, to: string, ...more: string[]) =>
    from.exec(['ping', '-c3', '-i0.1', '-W2', ...more, to]);

  test('carries packets of both IP versions, both ways, and leaves nothing behind', async () => {
    const { a, b, nameA } = await pair();
    expect(await ping(left, '10.7.0.2')).toMatchObject({ code: 0 });
    expect(await ping(right, 'fd07::1')).toMatchObject({ code: 0 });
    const { status } = await b.state();
    expect(status.peers[0]?.endpoint?.address).toEqual(Uint8Array.of(192, 0, 2, 1));
    expect(status.peers[0]?.rxBytes).toBeGreaterThan(500);
    // multicast that the kernel sends of itself has no peer to go to
    expect(Object.keys(status.drops).filter((d) => d !== 'noPeerForDestination')).toEqual([]);
    await a.close();
    expect(left.interfaces()).not.toContain(nameA);
    await b.close();
    expect(await a.exited).toEqual({ code: 0, signal: null });
    expect(await b.exited).toEqual({ code: 0, signal: null });
  });
});
