import { once } from 'node:events';
import { connect } from 'node:net';
import { fastify } from 'fastify';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { AddressBudget } from '../../src/controller/address-budget.ts';
import { guardConnections } from '../../src/controller/http/connection-guard.ts';
import { networkOf } from '../../src/controller/network-of.ts';
import { Overload } from '../../src/controller/overload.ts';
import { problemOf, TestMesh } from './support/test-mesh.ts';

let mesh: TestMesh | undefined;
afterEach(async () => {
  await mesh?.stop();
  mesh = undefined;
});

test('what does not verify is paid for by its address, and by no other', () => {
  let now = 0;
  const budget = new AddressBudget(() => now);
  let tried = 0;
  for (; !budget.isSpent('192.0.2.1') && tried < 1000; tried++) budget.charge('192.0.2.1');
  expect(tried).toBe(100);
  expect(budget.isSpent('192.0.2.2')).toBe(false);
  now += 1000;
  expect(budget.isSpent('192.0.2.1')).toBe(false);
  for (let i = 0; i < 6; i++) budget.charge('192.0.2.1');
  expect(budget.isSpent('192.0.2.1')).toBe(true);
});

test('all addresses of one /64 pay together', () => {
  const budget = new AddressBudget(() => 0);
  for (let i = 0; i < 200; i++) budget.charge(`2001:db8::${i.toString(16)}`);
  expect(budget.isSpent('2001:db8::ffff')).toBe(true);
  expect(budget.isSpent('2001:db8:0:1::1')).toBe(false);
});

test('a million addresses cost no more memory than ten thousand', () => {
  const budget = new AddressBudget(() => 0);
  for (let i = 0; i < 100_000; i++) {
    budget.charge(`2001:db8:${(i >> 16).toString(16)}:${(i & 0xffff).toString(16)}::1`);
  }
  expect(budget.size).toBeLessThanOrEqual(10_000);
});

test('a key that was true from an address is heard there, until something in its name is not', () => {
  const budget = new AddressBudget(() => 0);
  budget.vouch('192.0.2.1', 'member');
  for (let i = 0; i < 200; i++) budget.charge('192.0.2.1', `unknown ${i}`);
  expect(budget.isSpent('192.0.2.1')).toBe(true);
  expect(budget.isSpent('192.0.2.1', 'other')).toBe(true);
  expect(budget.isSpent('192.0.2.1', 'member')).toBe(false);
  budget.charge('192.0.2.1', 'member');
  expect(budget.isSpent('192.0.2.1', 'member')).toBe(true);
});

test('standing is bounded', () => {
  const budget = new AddressBudget(() => 0);
  for (let i = 0; i < 100_000; i++) budget.vouch('192.0.2.1', `key ${i}`);
  expect(budget.size).toBeLessThanOrEqual(50_000);
});

test('IPv4 in IPv6 form is the same network, a zone changes nothing', () => {
  expect(networkOf('::ffff:192.0.2.1')).toBe(networkOf('192.0.2.1'));
  expect(networkOf('fe80::1%eth0')).toBe(networkOf('fe80::2'));
  expect(networkOf('2001:db8:0:1::1')).not.toBe(networkOf('2001:db8:0:2::1'));
});

test('time in which nobody was attended to is added up', () => {
  let now = 0;
  const overload = new Overload(() => now);
  onTestFinished(() => overload.close());
  now = 250;
  expect(overload.take()).toBe(0);
  now = 5500;
  expect(overload.take()).toBe(5000);
  expect(overload.take()).toBe(0);
});

test('a score has one signature: more are refused before any is verified', async () => {
  mesh = await TestMesh.start();
  const a = await mesh.enrol('a', 1);
  const score = a.score(mesh.meshId, 0.9, mesh.clock.now());
  const many = { ...score, signatures: Array(8).fill(score.signatures[0]) };
  expect(problemOf(await mesh.post('a', many))).toMatchObject({
    code: 'envelope_malformed',
    field: 'signatures',
    expected: 'one signature',
  });
});

test('a suite that is measured rarely takes so many scores in its own interval', async () => {
  const here = await TestMesh.start({
    suites: [{ suite: 'alignment' }, { suite: 'deep', maxAgeS: 600, reportIntervalS: 300 }],
  });
  mesh = here;
  const a = await here.enrol('a', 1);
  const taken = async (suite: string, count: number) => {
    let accepted = 0;
    for (let i = 0; i < count; i++) {
      const body = a.score(here.meshId, 0.9, here.clock.now(), { suite });
      if ((await here.post('a', body)).status === 202) accepted++;
    }
    return accepted;
  };
  expect([await taken('alignment', 12), await taken('deep', 12)]).toEqual([10, 10]);
  await here.clock.advance(5000);
  expect([await taken('alignment', 12), await taken('deep', 12)]).toEqual([5, 0]);
  await here.clock.advance(30_000);
  expect(await taken('deep', 12)).toBe(1);
});

test('an address that sends forgeries is turned away unread', async () => {
  mesh = await TestMesh.start();
  const a = await mesh.enrol('a', 1);
  const score = a.score(mesh.meshId, 0.9, mesh.clock.now());
  const [signature] = score.signatures;
  const forged = { ...score, signatures: [{ ...signature!, sig: `${'A'.repeat(86)}==` }] };
  const codes: string[] = [];
  for (let i = 0; i < 200 && codes.at(-1) !== 'too_many_requests'; i++) {
    codes.push(problemOf(await mesh.post('a', forged)).code);
  }
  expect(codes[0]).toBe('envelope_signature');
  expect(codes.at(-1)).toBe('too_many_requests');
});

test('a member beside a forger on the same address is heard', async () => {
  mesh = await TestMesh.start();
  const [a, b] = [await mesh.enrol('a', 1), await mesh.enrol('b', 2)];
  await mesh.report(0.9, a, b);
  const forged = a.score(mesh.meshId, 0.9, mesh.clock.now());
  const sig = `${'A'.repeat(86)}==`;
  const unknown = { ...forged, signatures: [{ keyid: '0'.repeat(64), sig }] };
  let last = '';
  for (let i = 0; i < 200 && last !== 'too_many_requests'; i++) {
    last = problemOf(await mesh.post('a', unknown)).code;
  }
  expect(last).toBe('too_many_requests');
  await mesh.clock.advance(1000);
  await mesh.report(0.9, a, b);
});

test('a node that moves all the time is told to wait', async () => {
  mesh = await TestMesh.start();
  const a = await mesh.enrol('a', 1);
  const statuses: number[] = [];
  for (let i = 0; i < 8; i++) statuses.push((await mesh.move(a, `127.0.0.1:${20_000 + i}`)).status);
  expect(statuses).toEqual([200, 200, 200, 200, 200, 200, 429, 429]);
  expect((await mesh.move(a, '127.0.0.1:20005')).status).toBe(200); // where it is already
  await mesh.clock.advance(60_000);
  expect((await mesh.move(a, '127.0.0.1:20009')).status).toBe(200);
});

test('a connection has one request under way', async () => {
  mesh = await TestMesh.start();
  const { port } = new URL(mesh.url);
  const socket = connect(Number(port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  const request = `GET /v1/epoch HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`;
  let answers = '';
  socket.on('data', (chunk) => {
    answers += chunk;
  });
  socket.write(request.repeat(10));
  await expect.poll(() => answers).toContain('malformed_request');
  socket.end();
});

test('who has its answer may ask on, though the controller is not told yet that it has left', async () => {
  const app = fastify();
  onTestFinished(() => app.close());
  guardConnections(app, 10);
  let tell = () => {};
  app.setErrorHandler((_, __, reply) => {
    tell();
    reply.code(400).send('refused');
  });
  app.get('/first', ({ raw: { socket } }, reply) => {
    const write = socket._write.bind(socket);
    socket._write = (chunk, encoding, told) => {
      socket._write = write;
      write(chunk, encoding, (error) => {
        tell = () => told(error);
      });
    };
    reply.send('first');
  });
  app.get('/second', (_, reply) => {
    tell();
    reply.send('second');
  });
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }));
  const socket = connect(Number(port), '127.0.0.1');
  let answers = '';
  socket.on('data', (chunk) => {
    answers += chunk;
  });
  socket.write('GET /first HTTP/1.1\r\nhost: a\r\n\r\n');
  await expect.poll(() => answers).toContain('first');
  socket.write('GET /second HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await once(socket, 'close');
  expect(answers.match(/first|second|refused/g)).toEqual(['first', 'second']);
});

test('members are waited for where the controller had no time for them, once', async () => {
  mesh = await TestMesh.start();
  const [a, b] = [await mesh.enrol('a', 1), await mesh.enrol('b', 2)];
  await mesh.report(0.9, a, b);
  await mesh.rotate();
  await mesh.clock.advance(119_000);
  // For 30 s nothing came through; the scores are stale by now.
  const overload = Reflect.get(
    Reflect.get(mesh.controller.services.governor, 'options'),
    'overload',
  );
  let late = 30_000;
  overload.take = () => {
    const had = late;
    late = 0;
    return had;
  };
  await mesh.clock.advance(15_000);
  expect(await mesh.members()).toEqual(['a', 'b']);
  await mesh.report(0.9, a);
  await mesh.clock.advance(60_000);
  expect(await mesh.members()).toEqual(['a']); // who had its chance and said nothing is out
});
