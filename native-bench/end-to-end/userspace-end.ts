import { createPrivateKey, createPublicKey } from 'node:crypto';
import { PortableUdpPort } from '../../src/io/portable/udp-port.ts';
import { createTunnel, type UserspaceTunnel } from '../../src/tunnel/create-tunnel.ts';
import { median } from '../../test/lab/statistics.ts';

/**
 * One end of a bench of userspace tunnels: `send|receive PORT SIZE SECONDS [LISTEN-PORT]`. The receiver
 * prints its port, and when its input ends what came in; the sender prints what it sent.
 */

export type PortName = 'node:dgram' | 'system calls';
export interface Sent {
  readonly sentKpps: number;
  readonly sendCpuUs: number;
  readonly pingUs: number;
}
export interface Received {
  readonly receivedKpps: number;
  readonly receiveCpuUs: number;
}

const PINGS = 200;
/** Packets between two turns of the event loop, as a program sends what it has read from a socket. */
const BURST = 64;
const KEYS = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)] as const;

function publicKey(privateKey: Uint8Array): Uint8Array {
  const key = createPrivateKey({
    key: privateKey,
    format: 'raw-private',
    asymmetricKeyType: 'x25519',
  });
  return createPublicKey(key).export({ format: 'raw-public' });
}

const [role, port, size, seconds, listenPort] = process.argv.slice(2) as [
  string,
  PortName,
  ...string[],
];

function open(own: 0 | 1, endpoint?: string): Promise<UserspaceTunnel> {
  const other = own === 0 ? 1 : 0;
  return createTunnel({
    mode: 'userspace',
    privateKey: KEYS[own],
    addresses: [`10.77.0.${own + 1}/24`],
    peers: [
      {
        publicKey: publicKey(KEYS[other]),
        allowedIps: [`10.77.0.${other + 1}/32`],
        ...(endpoint === undefined ? {} : { endpoint }),
      },
    ],
    ...(port === 'node:dgram' ? { port: () => new PortableUdpPort() } : {}),
  });
}

const cpuSince = (before: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(before);
  return user + system;
};

async function receive(): Promise<void> {
  const tunnel = await open(0);
  let count = 0;
  let first = 0;
  let last = 0;
  let cpu = process.cpuUsage();
  let cpuUs = 0;
  tunnel.onPacket(() => {
    last = performance.now();
    if (count++ === 0) {
      first = last;
      cpu = process.cpuUsage();
    }
    if ((count & 0x3fff) === 0) cpuUs = cpuSince(cpu) / count;
  });
  console.log(tunnel.listenPort);
  for await (const _ of process.stdin);
  const received: Received = { receivedKpps: count / (last - first), receiveCpuUs: cpuUs };
  console.log(JSON.stringify(received));
  await tunnel.close();
}

async function send(): Promise<void> {
  const tunnel = await open(1, `127.0.0.1:${listenPort}`);
  const times: number[] = [];
  for (let i = 0; i < PINGS; i++) times.push((await tunnel.ping('10.77.0.1')) ?? Number.NaN);
  const packet = new Uint8Array(Number(size));
  packet.set([0x45, 0, packet.length >> 8, packet.length & 0xff, 0, 0, 0, 0, 64, 17]);
  packet.set([10, 77, 0, 2, 10, 77, 0, 1], 12);
  const before = process.cpuUsage();
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < Number(seconds) * 1000) {
    for (let i = 0; i < BURST; i++) tunnel.send(packet);
    count += BURST;
    await new Promise((resolve) => setImmediate(resolve));
  }
  const sent: Sent = {
    sentKpps: count / (performance.now() - start),
    sendCpuUs: cpuSince(before) / count,
    pingUs: median(times) * 1000,
  };
  await new Promise((resolve) => setTimeout(resolve, 300));
  console.log(JSON.stringify(sent));
  await tunnel.close();
}

await (role === 'receive' ? receive() : send());
