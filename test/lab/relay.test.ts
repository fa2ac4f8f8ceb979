import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { Impairment, Relay } from './relay.ts';

const options = { seed: 7, loss: 0.05, duplicate: 0.02, reorder: 0.1, hold: 10 };

test('does what its probabilities say, the same for the same seed', () => {
  const first = new Impairment(options);
  const second = new Impairment(options);
  const counts = { lost: 0, duplicated: 0, reordered: 0 };
  for (let round = 0; round < 20_000; round++) {
    const copies = first.next();
    expect(second.next()).toEqual(copies);
    if (copies.length === 0) counts.lost++;
    if (copies.length === 2) counts.duplicated++;
    if (copies[0]! > 0) counts.reordered++;
    for (const held of copies) expect(held).toBeLessThan(10);
  }
  expect(counts.lost / 20_000).toBeCloseTo(0.05, 1.7);
  expect(counts.duplicated / 20_000).toBeCloseTo(0.019, 1.7);
  expect(counts.reordered / 20_000).toBeCloseTo(0.095, 1.7);
});

test('another seed decides otherwise', () => {
  const first = new Impairment(options);
  const second = new Impairment({ ...options, seed: 8 });
  const decisions = (impairment: Impairment) =>
    Array.from({ length: 100 }, () => impairment.next());
  expect(decisions(first)).not.toEqual(decisions(second));
});

test('passes datagrams both ways', async () => {
  const server = createSocket('udp4', (datagram, source) => {
    server.send(Buffer.concat([datagram, datagram]), source.port, source.address);
  });
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  const free = createSocket('udp4');
  free.bind(0, '127.0.0.1');
  await once(free, 'listening');
  const { port } = free.address();
  await new Promise<void>((resolve) => free.close(resolve));
  const relay = new Relay({ seed: 1, loss: 0, duplicate: 0, reorder: 0, hold: 0 });
  await relay.start({ address: '127.0.0.1', port }, server.address());
  const client = createSocket('udp4');
  client.send('ab', port, '127.0.0.1');
  const [answer] = await once(client, 'message');
  expect(String(answer)).toBe('abab');
  expect(relay.counts).toEqual({ received: 2, lost: 0, duplicated: 0, reordered: 0 });
  await relay.close();
  server.close();
  client.close();
});
