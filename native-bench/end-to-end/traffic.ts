import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { end, pause, runLong, start } from './commands.ts';
import type { LinkEnd } from './link.ts';

const PORT = 5201;
/** ms that iperf3 may take beyond its run before it counts as hung. */
const GRACE = 20_000;

/**
 * Bytes of iperf3's UDP sockets: 4 MB, or what the system allows. By default a burst of one
 * super-packet or two overflows the receiver's socket, and its loss would be measured.
 */
const SOCKET_BUFFER = String(
  Math.min(
    4 << 20,
    ...['rmem_max', 'wmem_max'].map((name) =>
      Number(readFileSync(`/proc/sys/net/core/${name}`, 'utf8')),
    ),
  ),
);

interface IperfSum {
  readonly bytes: number;
  readonly seconds: number;
  readonly packets?: number;
  readonly lost_packets?: number;
}

interface IperfResult {
  readonly error?: string;
  readonly end: {
    readonly sum?: IperfSum;
    readonly sum_received?: IperfSum;
    readonly sum_received_bidir_reverse?: IperfSum;
  };
  readonly server_output_json?: { readonly end: { readonly sum?: IperfSum } };
}

/** Runs iperf3 from one end to the other, with a server of its own. */
async function iperf(
  from: LinkEnd,
  to: LinkEnd,
  seconds: number,
  options: readonly string[],
): Promise<IperfResult> {
  const inNamespace = ['ip', 'netns', 'exec', to.namespace, 'iperf3', '-s', '-1'];
  const server = start([...inNamespace, '-p', String(PORT), '--forceflush']);
  try {
    await new Promise<void>((resolve, reject) => {
      server.stdout?.on('data', (data) => String(data).includes('listening') && resolve());
      server.once('exit', () => reject(new Error('the iperf3 server ended')));
    });
    const client = ['iperf3', '-c', to.address, '-p', String(PORT), '-J', '-t', String(seconds)];
    const output = await runLong(
      seconds * 1000 + GRACE,
      'ip',
      ...['netns', 'exec', from.namespace, ...client, ...options],
    );
    const result = JSON.parse(output) as IperfResult;
    if (result.error !== undefined) throw new Error(`iperf3: ${result.error}`);
    return result;
  } finally {
    await end(server);
  }
}

/** Bytes that arrived, both ways if it went both ways, and the seconds it took. */
export interface Transfer {
  readonly bytes: number;
  readonly seconds: number;
}

export async function tcp(
  from: LinkEnd,
  to: LinkEnd,
  seconds: number,
  options: { readonly streams: number; readonly bothWays?: boolean },
): Promise<Transfer> {
  const result = await iperf(from, to, seconds, [
    ...['-P', String(options.streams)],
    ...(options.bothWays ? ['--bidir'] : []),
  ]);
  const there = result.end.sum_received!;
  const back = result.end.sum_received_bidir_reverse?.bytes ?? 0;
  return { bytes: there.bytes + back, seconds: there.seconds };
}

export interface Datagrams {
  readonly sentPerSecond: number;
  readonly receivedPerSecond: number;
  /** 0..1 */
  readonly loss: number;
}

/** `perSecond`: datagrams offered per second, 0 for as many as the sender can. */
export async function udp(
  from: LinkEnd,
  to: LinkEnd,
  seconds: number,
  options: { readonly size: number; readonly perSecond: number },
): Promise<Datagrams> {
  const { size, perSecond } = options;
  const rate = String(perSecond * size * 8);
  const result = await iperf(from, to, seconds, [
    ...['-u', '-b', rate, '-l', String(size), '-w', SOCKET_BUFFER, '--get-server-output'],
  ]);
  const sent = result.end.sum!.packets!;
  // The server's own count: what it got, without what may be on its way when it stops.
  const server = result.server_output_json?.end.sum ?? result.end.sum!;
  const received = server.packets! - server.lost_packets!;
  return {
    sentPerSecond: sent / result.end.sum!.seconds,
    receivedPerSecond: received / result.end.sum!.seconds,
    loss: 1 - received / sent,
  };
}

/**
 * Round-trip times in ms, one ping every `interval` ms. Lost ones are not in it. Its output goes to
 * a file: a pipe would wake this process after every ping and leave its traces in the caches.
 */
export async function roundTrips(
  from: LinkEnd,
  to: LinkEnd,
  count: number,
  interval: number,
): Promise<number[]> {
  const folder = mkdtempSync(join(tmpdir(), 'ping-'));
  const file = join(folder, 'output');
  try {
    const options = `-n -c ${count} -i ${interval / 1000} -W 1 ${to.address}`;
    await runLong(
      count * interval + GRACE,
      'ip',
      ...['netns', 'exec', from.namespace, 'sh', '-c', `exec ping ${options} >"$0"`, file],
    );
    const output = readFileSync(file, 'utf8');
    return [...output.matchAll(/ time=([\d.]+) ms/g)].map((match) => Number(match[1]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Runs `other` while `traffic` goes on, a moment after it began. */
export async function during<T>(traffic: Promise<unknown>, other: () => Promise<T>): Promise<T> {
  await pause(500);
  const result = await other();
  await traffic;
  return result;
}
