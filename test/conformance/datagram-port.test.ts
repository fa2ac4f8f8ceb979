import { createSocket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import { BatchingUdpPort } from '../../src/io/linux/batching-udp-port.ts';
import { cannotWatch } from '../../src/io/linux/readable-watch.ts';
import { PortableUdpPort } from '../../src/io/portable/udp-port.ts';
import type { DatagramCarrier } from '../../src/io/ports.ts';
import { segmentsOf } from '../../src/io/segments.ts';
import { formatEndpoint, parseEndpoint } from '../../src/wire/address-text.ts';
import type { Endpoint } from '../../src/wire/endpoint.ts';

const PORTS: Record<string, () => DatagramCarrier> = {
  'node:dgram': () => new PortableUdpPort(),
  ...(cannotWatch() === undefined ? { 'system calls': () => new BatchingUdpPort() } : {}),
};

const open: DatagramCarrier[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((port) => port.close()));
});

interface Received {
  text: string;
  from: string;
}

const to = (text: string) => parseEndpoint(text, () => undefined)!;
const text = (value: string) => new TextEncoder().encode(value);
const send = (port: DatagramCarrier, datagram: Uint8Array, endpoint: Endpoint) =>
  port.send(datagram, datagram.length, endpoint);
const hasIpv6 = Object.values(networkInterfaces())
  .flat()
  .some((address) => address?.address === '::1');

describe.each(Object.entries(PORTS))('a datagram port on %s', (_name, create) => {
  async function move(port: DatagramCarrier, listenPort: number): Promise<void> {
    await (await port.prepare({ listenPort }))?.commit();
  }

  async function listen(listenPort = 0): Promise<{ port: DatagramCarrier; received: Received[] }> {
    const received: Received[] = [];
    const port = create();
    open.push(port);
    port.connect((batch, segmentSize, source) => {
      for (const datagram of segmentsOf(batch, segmentSize)) {
        received.push({ text: Buffer.from(datagram).toString(), from: formatEndpoint(source) });
      }
    });
    await move(port, listenPort);
    return { port, received };
  }

  test('has no port before one was asked for, and counts what cannot be sent', () => {
    const port = create();
    open.push(port);
    expect(port.port).toBe(0);
    send(port, text('early'), to('127.0.0.1:9'));
    expect(port.sendFailures).toBe(1);
  });

  test('has the same port in both families', async () => {
    const { port: here } = await listen();
    const { port: there, received } = await listen();
    send(here, text('four'), to(`127.0.0.1:${there.port}`));
    await expect.poll(() => received).toEqual([{ text: 'four', from: `127.0.0.1:${here.port}` }]);
    if (!hasIpv6) return;
    send(here, text('six'), to(`[::1]:${there.port}`));
    await expect.poll(() => received[1]).toEqual({ text: 'six', from: `[::1]:${here.port}` });
  });

  test('keeps the order, and the memory of a datagram may be used again at once', async () => {
    const { port: here } = await listen();
    const { port: there, received } = await listen();
    const buffer = new Uint8Array(1);
    for (let value = 97; value < 122; value++) {
      buffer[0] = value;
      send(here, buffer, to(`127.0.0.1:${there.port}`));
    }
    await expect
      .poll(() => received.map((datagram) => datagram.text).join(''))
      .toBe('abcdefghijklmnopqrstuvwxy');
  });

  test('sizes and destinations may change from one datagram to the next', async () => {
    const { port: here } = await listen();
    const near = await listen();
    const far = await listen();
    const sizes = [3, 3, 1, 3, 2, 2, 4, 1, 1400, 1400, 1400, 7, 1400];
    for (const [i, size] of sizes.entries()) {
      const datagram = text(String.fromCharCode(97 + i).repeat(size));
      send(here, datagram, to(`127.0.0.1:${near.port.port}`));
      if (i % 3 === 0) send(here, datagram, to(`127.0.0.1:${far.port.port}`));
    }
    const lengths = ({ received }: { received: Received[] }) =>
      received.map((one) => one.text.length);
    await expect.poll(() => lengths(near)).toEqual(sizes);
    await expect.poll(() => lengths(far)).toEqual(sizes.filter((_, i) => i % 3 === 0));
    expect(near.received.map((one) => one.text[0]).join('')).toBe('abcdefghijklm');
  });

  test('more datagrams than fit in a batch, in one turn, all arrive in their order', async () => {
    const { port: here } = await listen();
    const { port: there, received } = await listen();
    const count = 150;
    for (let i = 0; i < count; i++) {
      send(here, text(`${i} `.padEnd(1000)), to(`127.0.0.1:${there.port}`));
    }
    await expect.poll(() => received.length).toBe(count);
    expect(received.map((one) => Number.parseInt(one.text, 10))).toEqual(
      Array.from({ length: count }, (_, i) => i),
    );
  });

  test.each([
    ['of one size', 64 * 1000, 64],
    ['of which the last is shorter', 63 * 1000 + 1, 64],
    ['of one', 1000, 1],
    ['of one that is empty', 0, 1],
    ['of small ones', 64, 1],
  ])('a batch %s arrives as its datagrams', async (_name, length, count) => {
    const { port: here } = await listen();
    const { port: there, received } = await listen();
    const batch = new Uint8Array(length).map((_, at) => 97 + (Math.floor(at / 1000) % 26));
    const destination = to(`127.0.0.1:${there.port}`);
    for (let i = 0; i < 2; i++) here.send(batch, 1000, destination);
    batch.fill(0); // its memory may be used again at once
    await expect.poll(() => received.length).toBe(2 * count);
    const expected = Array.from({ length: count }, (_, i) =>
      String.fromCharCode(97 + (i % 26)).repeat(Math.min(1000, length - i * 1000)),
    );
    expect(received.map((one) => one.text)).toEqual([...expected, ...expected]);
    expect(here.sendFailures).toBe(0);
  });

  test('of a batch that there is no socket for each datagram is counted', () => {
    const port = create();
    open.push(port);
    port.send(new Uint8Array(2500), 1000, to('127.0.0.1:9'));
    expect(port.sendFailures).toBe(3);
  });

  test('rejects a port that is taken in either family, and keeps the one it has', async () => {
    const { port: here } = await listen();
    const { port: there, received } = await listen();
    const before = there.port;
    const preparing = async () => there.prepare({ listenPort: here.port });
    await expect(preparing()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(there.port).toBe(before);
    send(here, text('still'), to(`127.0.0.1:${before}`));
    await expect.poll(() => received.length).toBe(1);
    if (!hasIpv6) return;
    const taken = createSocket({ type: 'udp6', ipv6Only: true });
    await new Promise<void>((resolve) => taken.bind(0, resolve));
    const { port } = taken.address();
    const another = async () => there.prepare({ listenPort: port });
    await expect(another()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await new Promise<void>((resolve) => taken.close(() => resolve()));
  });

  test('a port that was left or closed is free at once', async () => {
    const { port: here, received } = await listen();
    const first = here.port;
    await move(here, 0);
    expect(here.port).not.toBe(first);
    const { port: next } = await listen(first);
    send(next, text('hello'), to(`127.0.0.1:${here.port}`));
    await expect.poll(() => received).toEqual([{ text: 'hello', from: `127.0.0.1:${first}` }]);
    await next.close();
    expect((await listen(first)).port.port).toBe(first);
  });

  test('a change that is given up leaves its port free', async () => {
    const { port: here } = await listen();
    const { port: there } = await listen();
    const free = there.port;
    await there.close();
    await (await here.prepare({ listenPort: free }))!.cancel();
    expect((await listen(free)).port.port).toBe(free);
  });

  test('what was sent before the end leaves, and nothing is heard after it', async () => {
    const { port: here, received: late } = await listen();
    const { port: there, received } = await listen();
    send(here, text('last'), to(`127.0.0.1:${there.port}`));
    const address = to(`127.0.0.1:${here.port}`);
    await here.close();
    send(there, text('too late'), address);
    await expect.poll(() => received.length).toBe(1);
    expect(late).toEqual([]);
  });

  test('a datagram that the system refuses is counted, and the next one goes out', async () => {
    const { port: here } = await listen();
    const { port: there, received } = await listen();
    send(here, text('nowhere'), { ...to('127.0.0.1:1'), port: 0 });
    send(here, new Uint8Array(70_000), to(`127.0.0.1:${there.port}`));
    send(here, text('next'), to(`127.0.0.1:${there.port}`));
    await expect.poll(() => received.map((datagram) => datagram.text)).toEqual(['next']);
    await expect.poll(() => here.sendFailures).toBe(2);
  });

  test('a firewall mark, which there is nothing to set on, is refused', async () => {
    const { port } = await listen();
    expect(() => port.prepare({ fwmark: 7 })).toThrow('fwmark');
    expect(await port.prepare({ fwmark: 0 })).toBeUndefined();
  });
});
