import { expect } from 'vitest';
import { until } from '../lab/netns.ts';
import type { End } from './pair.ts';
import type { Count, Transfer } from './tools.ts';

const TCP_PORT = 5001;
const UDP_PORT = 5002;
const IPV6_AND_UDP = 48;

/** Sends `bytes` by TCP and expects the same SHA-256 at both ends. Returns Mbit/s. */
export async function transferTcp(
  from: End,
  to: End,
  bytes: number,
  family: 4 | 6 = 4,
): Promise<number> {
  const address = family === 4 ? to.inner4 : to.inner6;
  const receiver = await to.tool('tcp-receive', address, TCP_PORT);
  const sender = await from.tool('tcp-send', address, TCP_PORT, bytes);
  const [sent, received] = await Promise.all([
    sender.result<Transfer>(),
    receiver.result<Transfer>(),
  ]);
  expect(received).toMatchObject({ bytes, sha256: sent.sha256 });
  return (bytes * 8) / 1e6 / received.seconds;
}

/** Sends numbered datagrams of all sizes up to the MTU and returns what arrived. */
export async function sendUdp(
  from: End,
  to: End,
  count: number,
  options: { family?: 4 | 6; mtu?: number } = {},
): Promise<Count> {
  const address = options.family === 6 ? to.inner6 : to.inner4;
  const receiver = await to.tool('udp-receive', address, UDP_PORT);
  const largest = (options.mtu ?? 1420) - IPV6_AND_UDP;
  const sender = await from.tool('udp-send', address, UDP_PORT, count, largest);
  await sender.result();
  receiver.finish();
  return receiver.result<Count>();
}

/** Waits until `from` gets an answer from `to` through the tunnel. */
export function reaches(from: End, to: End, what: string, timeout = 15_000): Promise<unknown> {
  return until(() => from.ping(to.inner4, ['-c', '1', '-W', '1']), what, timeout);
}
