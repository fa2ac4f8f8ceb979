import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { Counters } from '../../../src/agent/counters.ts';
import { answerTo } from '../../../src/agent/names/dns-message.ts';
import { respondToDns } from '../../../src/agent/names/dns-responder.ts';

const NAMES = new Map([
  ['node-a', '10.10.0.2'],
  ['node-b', '10.10.0.3'],
]);
const addressOf = (name: string) => NAMES.get(name);

/** A query as resolvers write it: id 0x1234, recursion desired. */
function query(name: string, { type = 1, klass = 1, flags = 0x0100, rest = '' } = {}): Uint8Array {
  const labels = name === '' ? [] : name.split('.');
  const question = labels.flatMap((label) => [label.length, ...Buffer.from(label, 'latin1')]);
  const head = [0x12, 0x34, flags >> 8, flags & 255, 0, 1, 0, 0, 0, 0, 0, rest === '' ? 0 : 1];
  const tail = [0, type >> 8, type & 255, klass >> 8, klass & 255];
  return Uint8Array.from([...head, ...question, ...tail, ...Buffer.from(rest, 'hex')]);
}

/** Response code, answers, and the last four bytes: the address, if there is one. */
function read(answer: Uint8Array | undefined) {
  if (answer === undefined) return undefined;
  return { rcode: answer[3]! & 15, answers: answer[7], tail: [...answer.slice(-4)].join('.') };
}
const ask = (...parameters: Parameters<typeof query>) =>
  read(answerTo(query(...parameters), addressOf));

test('a member has its address, in whichever letters it is asked for', () => {
  expect(ask('node-b.mesh')).toEqual({ rcode: 0, answers: 1, tail: '10.10.0.3' });
  expect(ask('NODE-b.MeSH')).toEqual({ rcode: 0, answers: 1, tail: '10.10.0.3' });
  expect(ask('node-b.mesh', { rest: '00002904d000000000000000' })).toMatchObject({ answers: 1 });
});

test('other types of a member are empty, other names of the zone are none', () => {
  expect(ask('node-b.mesh', { type: 28 })).toMatchObject({ rcode: 0, answers: 0 });
  expect(ask('mesh')).toMatchObject({ rcode: 0, answers: 0 });
  expect(ask('node-z.mesh')).toMatchObject({ rcode: 3, answers: 0 });
  expect(ask('www.node-b.mesh')).toMatchObject({ rcode: 3, answers: 0 });
});

test('whatever is not of the zone is refused', () => {
  for (const name of ['example.org', 'node-b', 'node-b.mesh.example', '', 'xmesh']) {
    expect(ask(name), name).toMatchObject({ rcode: 5, answers: 0 });
  }
  expect(ask('node-b.mesh', { klass: 3 })).toMatchObject({ rcode: 5 });
  expect(ask('node-b.mesh', { flags: 0x2800 })).toMatchObject({ rcode: 4, answers: 0 });
});

test('what is no query is not answered', () => {
  const good = query('node-b.mesh');
  expect(ask('node-b.mesh', { flags: 0x8100 })).toBeUndefined(); // an answer: they would talk for ever
  expect(ask('node-b.mesh', { flags: 0x0300 })).toBeUndefined();
  for (let length = 0; length < good.length; length++) {
    expect(answerTo(good.subarray(0, length), addressOf), `${length} bytes`).toBeUndefined();
  }
  expect(answerTo(Uint8Array.from([...good, 0]), addressOf)).toBeUndefined();
  const pointing = Uint8Array.from(good);
  pointing[12] = 0xc0;
  expect(answerTo(pointing, addressOf)).toBeUndefined();
  expect(ask('a'.repeat(63).concat('.').repeat(5).concat('mesh'))).toBeUndefined();
});

test('nothing hostile is answered with more than it brought and one address, or beyond the zone', () => {
  const base = query('node-b.mesh');
  const mutated = fc
    .array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { maxLength: 6 })
    .map((changes) => {
      const bytes = Uint8Array.from(base);
      for (const [at, value] of changes) bytes[at] = value;
      return bytes;
    });
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 600 }), mutated);
  fc.assert(
    fc.property(bytes, (message) => {
      const answer = answerTo(message, addressOf);
      if (answer === undefined) return;
      expect(answer.length).toBeLessThanOrEqual(message.length + 16);
      expect(answer[2]! & 0x80).toBe(0x80);
      expect([...answer.subarray(0, 2)]).toEqual([...message.subarray(0, 2)]);
      if (answer[7] === 1) expect([...NAMES.values()]).toContain([...answer.slice(-4)].join('.'));
    }),
    { numRuns: 20_000 },
  );
});

test('a resolver of another make is answered, and rubbish is counted', async () => {
  const probe = createSocket('udp4').bind(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  const stop = new AbortController();
  const counters = new Counters();
  const running = respondToDns({ address: '127.0.0.1', port, addressOf, counters }, stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await running;
  });
  const resolver = new Resolver({ timeout: 2000, tries: 3 });
  resolver.setServers([`127.0.0.1:${port}`]);
  expect(await resolver.resolve4('node-a.mesh', { ttl: true })).toEqual([
    { address: '10.10.0.2', ttl: 5 },
  ]);
  await expect(resolver.resolve4('node-z.mesh')).rejects.toMatchObject({ code: 'ENOTFOUND' });
  await expect(resolver.resolve4('example.org')).rejects.toMatchObject({ code: 'EREFUSED' });
  const rude = createSocket('udp4');
  rude.send('rubbish', port, '127.0.0.1');
  await expect.poll(() => counters.snapshot().dns_dropped).toBe(1);
  rude.close();
});
