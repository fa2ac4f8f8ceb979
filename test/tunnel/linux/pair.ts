import { expect, onTestFinished } from 'vitest';
import { nodeProvider } from '../../../src/crypto/node.ts';
import type { PeerChange } from '../../../src/device/config.ts';
import type { Finished, Lab, Namespace } from '../../lab/netns.ts';
import { RemoteTunnel } from './remote-tunnel.ts';
import type { OpenOptions } from './tunnel-process.ts';

/** All tests of this folder can be run with several pairs of workers. */
const wanted = process.env.MESHTUN_WORKER_PAIRS;
const workerPairs = wanted === undefined ? {} : { workerPairs: Number(wanted) };

/** Private key of a numbered side. */
export const privateKey = (side: number): Uint8Array => new Uint8Array(32).fill(side);
export const publicKey = (side: number): Uint8Array => nodeProvider.x25519Public(privateKey(side));

export interface Side {
  readonly namespace: Namespace;
  readonly tunnel: RemoteTunnel;
  readonly name: string;
  readonly port: number;
}

/** Two namespaces with a link between them: 192.0.2.x1/24 and 2001:db8::x/64, side x. */
export class Site {
  readonly lab: Lab;
  readonly left: Namespace;
  readonly right: Namespace;
  private count = 0;

  constructor(lab: Lab, mtu?: number) {
    this.lab = lab;
    this.left = lab.namespace('left');
    this.right = lab.namespace('right');
    lab.veth(this.left, this.right, {
      left: ['192.0.2.1/24', '192.0.2.11/24', '2001:db8::1/64'],
      right: ['192.0.2.2/24', '192.0.2.12/24', '2001:db8::2/64', '2001:db8::12/64'],
      ...(mtu === undefined ? {} : { mtu }),
    });
  }

  /** A tunnel for one test, without peers, with inner addresses 10.7.0.x and fd07::x. */
  async open(side: 1 | 2, options: Partial<OpenOptions> = {}): Promise<Side> {
    const namespace = side === 1 ? this.left : this.right;
    const name = this.lab.interfaceName(`w${this.count++}`);
    const tunnel = await RemoteTunnel.open(namespace, {
      name,
      privateKey: privateKey(side),
      addresses: [`10.7.0.${side}/24`, `fd07::${side}/64`],
      ...workerPairs,
      ...options,
    });
    onTestFinished(async () => {
      tunnel.process.kill('SIGKILL');
      await tunnel.exited;
    });
    return { namespace, tunnel, name, port: (await tunnel.state()).status.listenPort };
  }

  /** What one side has to be told of the other. */
  peer(side: 1 | 2, port?: number, address = [192, 0, 2, side]): PeerChange {
    const family = address.length === 4 ? 4 : 6;
    return {
      publicKey: publicKey(side),
      allowedIps: [
        { prefix: { address: Uint8Array.of(10, 7, 0, side), length: 32 } },
        { prefix: { address: inner6(side), length: 128 } },
      ],
      ...(port === undefined
        ? {}
        : { endpoint: { family, address: Uint8Array.from(address), port, scope: 0 } }),
    };
  }

  /** Two tunnels that know each other; only side 1 knows where the other one is. */
  async pair(
    options: Partial<OpenOptions> = {},
    address?: number[],
  ): Promise<readonly [Side, Side]> {
    const [a, b] = await Promise.all([this.open(1, options), this.open(2, options)]);
    await b.tunnel.configure({ peers: [this.peer(1)] });
    await a.tunnel.configure({ peers: [this.peer(2, b.port, address)] });
    return [a, b];
  }
}

function inner6(side: number): Uint8Array {
  const address = new Uint8Array(16);
  address.set([0xfd, 7]);
  address[15] = side;
  return address;
}

export function ping(from: Namespace, to: string, ...more: string[]): Promise<Finished> {
  return from.exec(['ping', '-c3', '-i0.1', '-W10', ...more, to]);
}

export async function expectPing(from: Namespace, to: string, ...more: string[]): Promise<void> {
  const { code, stdout } = await ping(from, to, ...more);
  expect(stdout).toContain(' 0% packet loss');
  expect(code).toBe(0);
}
