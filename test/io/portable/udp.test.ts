import { createSocket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { afterEach, expect, test } from 'vitest';
import { PortableUdp } from '../../../src/io/portable/udp.ts';
import { formatEndpoint, parseEndpoint } from '../../../src/wire/address-text.ts';

const open: PortableUdp[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((udp) => udp.close()));
});

interface Received {
  text: string;
  from: string;
}

async function listen(port = 0): Promise<{ udp: PortableUdp; received: Received[] }> {
  const received: Received[] = [];
  const udp = await PortableUdp.open(port, (datagram, source) => {
    received.push({ text: Buffer.from(datagram).toString(), from: formatEndpoint(source) });
  });
  open.push(udp);
  return { udp, received };
}

const to = (text: string) => parseEndpoint(text, () => undefined)!;
const text = (value: string) => new TextEncoder().encode(value);
const hasIpv6 = Object.values(networkInterfaces())
  .flat()
  .some((address) => address?.address === '::1');

test('has the same port in both families', async () => {
  const { udp: here } = await listen();
  const { udp: there, received } = await listen();
  here.send(text('four'), to(`127.0.0.1:${there.port}`));
  await expect.poll(() => received).toEqual([{ text: 'four', from: `127.0.0.1:${here.port}` }]);
  if (!hasIpv6) return;
  here.send(text('six'), to(`[::1]:${there.port}`));
  await expect.poll(() => received[1]).toEqual({ text: 'six', from: `[::1]:${here.port}` });
});

test('keeps the order, and the memory of a datagram may be used again at once', async () => {
  const { udp: here } = await listen();
  const { udp: there, received } = await listen();
  const buffer = new Uint8Array(1);
  for (let value = 97; value < 122; value++) {
    buffer[0] = value;
    here.send(buffer, to(`127.0.0.1:${there.port}`));
  }
  await expect
    .poll(() => received.map((datagram) => datagram.text).join(''))
    .toBe('abcdefghijklmnopqrstuvwxy');
});

test('rejects a port that is taken in either family', async () => {
  const { udp } = await listen();
  await expect(PortableUdp.open(udp.port, () => {})).rejects.toMatchObject({ code: 'EADDRINUSE' });
  if (!hasIpv6) return;
  const taken = createSocket({ type: 'udp6', ipv6Only: true });
  await new Promise<void>((resolve) => taken.bind(0, resolve));
  const { port } = taken.address();
  await expect(PortableUdp.open(port, () => {})).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await new Promise<void>((resolve) => taken.close(() => resolve()));
});

test('a datagram that the system refuses is counted, and the next one goes out', async () => {
  const { udp: here } = await listen();
  const { udp: there, received } = await listen();
  here.send(text('nowhere'), { ...to('127.0.0.1:1'), port: 0 });
  here.send(new Uint8Array(70_000), to(`127.0.0.1:${there.port}`));
  here.send(text('next'), to(`127.0.0.1:${there.port}`));
  await expect.poll(() => received.map((datagram) => datagram.text)).toEqual(['next']);
  await expect.poll(() => here.sendFailures).toBe(2);
});
