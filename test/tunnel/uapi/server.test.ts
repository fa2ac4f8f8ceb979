import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TunnelError } from '../../../src/tunnel/tunnel.ts';
import { UapiServer, type UapiServerOptions } from '../../../src/tunnel/uapi/server.ts';
import { FakeTunnel } from './fake-tunnel.ts';

const KEY = 'ab'.repeat(32);

let folder: string;
let path: string;
let tunnel: FakeTunnel;
const open: UapiServer[] = [];
const sockets: Socket[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'uapi-'));
  path = join(folder, 'wg', 'test0.sock');
  tunnel = new FakeTunnel();
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of open.splice(0)) await server.close();
  rmSync(folder, { recursive: true });
});

async function listen(options: Partial<UapiServerOptions> = {}): Promise<UapiServer> {
  const server = await UapiServer.listen({ tunnel, path, ...options });
  open.push(server);
  return server;
}

/** A client: what it has received so far, and a wait for more. */
class Client {
  readonly socket: Socket;
  received = '';
  ended = false;

  constructor() {
    this.socket = createConnection({ path, allowHalfOpen: true });
    sockets.push(this.socket);
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text: string) => {
      this.received += text;
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.ended = true;
    });
    this.socket.on('end', () => {
      this.ended = true;
    });
  }

  async answers(count: number): Promise<string[]> {
    await expect.poll(() => this.received.split('\n\n').length - 1).toBe(count);
    return this.received.split('\n\n').slice(0, count);
  }

  async request(text: string): Promise<string> {
    const before = this.received.split('\n\n').length - 1;
    this.socket.write(text);
    return (await this.answers(before + 1)).at(-1)!;
  }

  closed(): Promise<void> {
    return expect.poll(() => this.ended).toBe(true);
  }
}

test('answers get and set, many on one connection', async () => {
  await listen();
  const client = new Client();
  expect(await client.request('get=1\n\n')).toBe('errno=0');
  expect(await client.request(`set=1\nprivate_key=${KEY}\nlisten_port=7\n\n`)).toBe('errno=0');
  expect(await client.request('get=1\n\n')).toBe(`private_key=${KEY}\nlisten_port=7\nerrno=0`);
  client.socket.write('get=1\n\nset=1\nfwmark=3\n\nget=1\n\nset=1\nfoo=1\n\nget=1\n\n');
  const answers = await client.answers(8);
  expect(answers[5]).toContain('fwmark=3');
  expect(answers.map((answer) => answer.split('\n').at(-1))).toEqual([
    ...Array<string>(6).fill('errno=0'),
    `errno=-${constants.errno.EINVAL}`,
    'errno=0',
  ]);
});

test('answers a client that closes its side behind the request', async () => {
  await listen();
  const client = new Client();
  client.socket.end('get=1\n\n');
  await client.closed();
  expect(client.received).toBe('errno=0\n\n');
});

test('bad input anywhere changes nothing', async () => {
  await listen();
  const client = new Client();
  for (const bad of ['listen_port=x', 'nonsense=1', 'private_key']) {
    const answer = await client.request(`set=1\nlisten_port=7\n${bad}\n\n`);
    expect(answer).toMatch(/^errno=-\d+$/);
  }
  expect(await client.request(`set=1\nlisten_port=7\npublic_key=${KEY}\nendpoint=x\n\n`)).toBe(
    `errno=-${constants.errno.EINVAL}`,
  );
  expect(await client.request('get=1\nlisten_port=7\n\n')).toBe(`errno=-${constants.errno.EINVAL}`);
  expect(tunnel.changes).toEqual([]);
});

test('says by its errno why the tunnel refused', async () => {
  const messages: string[] = [];
  await listen({ log: (message) => messages.push(message) });
  const client = new Client();
  const cases: [Error, number][] = [
    [new TunnelError('address_in_use', 'bind: EADDRINUSE'), constants.errno.EADDRINUSE],
    [new TunnelError('not_permitted', 'SO_MARK: EPERM'), constants.errno.EPERM],
    [new TunnelError('psk_required', 'peer without a pre-shared key'), constants.errno.EINVAL],
    [new TunnelError('closed', 'closed'), constants.errno.ENODEV],
    [new Error('out of order'), 55],
  ];
  for (const [error, errno] of cases) {
    tunnel.failure = error;
    expect(await client.request('set=1\n\n')).toBe(`errno=-${errno}`);
    expect(messages.at(-1)).toContain(error.message);
  }
});

test('a request that is never finished is forgotten', async () => {
  await listen();
  const client = new Client();
  client.socket.end(`set=1\nprivate_key=${KEY}\n`);
  await client.closed();
  expect(client.received).toBe('');
  expect(tunnel.changes).toEqual([]);
});

test('a client that stops in the middle of a request is cut off, an idle one is not', async () => {
  await listen({ stallTimeout: 50 });
  const idle = new Client();
  expect(await idle.request('get=1\n\n')).toBe('errno=0');
  const stalled = new Client();
  stalled.socket.write('set=1\nlisten_port=');
  await stalled.closed();
  await sleep(100);
  expect(await idle.request('get=1\n\n')).toBe('errno=0');
});

test('survives garbage', async () => {
  await listen();
  for (let round = 0; round < 50; round++) {
    const client = new Client();
    client.socket.end(round % 2 === 0 ? randomBytes(round * 100) : `set=1\n${randomBytes(50)}\n\n`);
    await client.closed();
  }
  expect(tunnel.changes).toEqual([]);
  expect(await new Client().request('get=1\n\n')).toBe('errno=0');
});

test('serves many clients at once and applies their changes one after the other', async () => {
  await listen();
  let running = 0;
  const configure = tunnel.configure.bind(tunnel);
  tunnel.configure = async (change) => {
    expect(++running).toBe(1);
    await sleep(2);
    await configure(change);
    running--;
  };
  const clients = Array.from({ length: 20 }, () => new Client());
  const half = new Client();
  half.socket.write('set=1\nlisten');
  await Promise.all(
    clients.map(async (client, index) => {
      expect(await client.request(`set=1\nlisten_port=${index + 1}\n\n`)).toBe('errno=0');
    }),
  );
  expect(await half.request('_port=99\n\n')).toBe('errno=0');
  expect(tunnel.changes).toHaveLength(21);
});

test('takes and gives 100,000 allowed-ips', async () => {
  await listen();
  const client = new Client();
  const lines = Array.from(
    { length: 100_000 },
    (_, index) =>
      `allowed_ip=fd00:${(index >> 16).toString(16)}:${(index & 0xffff).toString(16)}::/48`,
  );
  const request = `set=1\npublic_key=${KEY}\n${lines.join('\n')}\n\n`;
  expect(await client.request(request)).toBe('errno=0');
  const answer = await client.request('get=1\n\n');
  expect(answer.match(/allowed_ip=/g)).toHaveLength(100_000);
});

test('only its owner can reach the socket, and the mask of the process is as before', async () => {
  const mask = process.umask();
  await listen();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(process.umask()).toBe(mask);
});

test('takes the place of a stale socket', async () => {
  mkdirSync(join(folder, 'wg'));
  const stale = createServer();
  await new Promise<void>((resolve) => stale.listen(path, resolve));
  // A process that was killed leaves its file: take it away from the server before it closes.
  const kept = `${path}.kept`;
  renameSync(path, kept);
  await new Promise((resolve) => stale.close(resolve));
  renameSync(kept, path);
  await listen();
  expect(await new Client().request('get=1\n\n')).toBe('errno=0');
});

test('refuses the place of a live socket, or of a file that is none', async () => {
  await listen();
  await expect(UapiServer.listen({ tunnel, path })).rejects.toMatchObject({ code: 'name_in_use' });
  const file = join(folder, 'file');
  writeFileSync(file, '');
  await expect(UapiServer.listen({ tunnel, path: file })).rejects.toMatchObject({
    code: 'name_in_use',
  });
  expect(existsSync(file)).toBe(true);
});

test('notices that its file was removed, and nothing else in the folder', async () => {
  const server = await listen();
  let removed = false;
  void server.removed.then(() => {
    removed = true;
  });
  writeFileSync(join(folder, 'wg', 'other.sock'), '');
  unlinkSync(join(folder, 'wg', 'other.sock'));
  await sleep(50);
  expect(removed).toBe(false);
  unlinkSync(path);
  await expect.poll(() => removed).toBe(true);
});

test('close ends every connection and removes the file', async () => {
  const server = await listen();
  const client = new Client();
  await client.request('get=1\n\n');
  await server.close();
  await client.closed();
  expect(existsSync(path)).toBe(false);
});
