import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { adminCall } from '../../src/cli/admin-client.ts';
import type { TokenAnswer } from '../../src/contract/admin.ts';
import { temporaryDirectory } from '../agent/support/rig.ts';
import { freePort } from '../lab/free-ports.ts';
import { until } from '../lab/netns.ts';
import { NotifyReceiver } from '../lab/notify-receiver.ts';
import { requires } from '../lab/requirements.ts';

const MESHNET = resolve(import.meta.dirname, '../../bin/meshnet');
const WATCHDOG_US = 600_000;

requires('linux', 'node:ffi')('as a service of a manager that watches', () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  let services: Service[];
  beforeEach(() => {
    directory = temporaryDirectory();
    services = [];
  });
  afterEach(async () => {
    for (const service of services.reverse()) {
      await service.end('SIGKILL');
      service.receiver.close();
    }
    directory.remove();
  });

  /** A program, and what it tells its service manager. */
  class Service {
    readonly receiver = new NotifyReceiver('path');
    readonly told: string[] = [];
    private readonly child: ChildProcess;

    constructor(...parameters: string[]) {
      const manager = { NOTIFY_SOCKET: this.receiver.address, WATCHDOG_USEC: String(WATCHDOG_US) };
      const env = { ...process.env, ...manager };
      this.child = spawn(MESHNET, parameters, { env, stdio: ['ignore', 'ignore', 'inherit'] });
      services.push(this);
    }

    async hears(line: string | RegExp): Promise<void> {
      const isIt = (one: string) => (typeof line === 'string' ? one === line : line.test(one));
      await until(() => {
        this.told.push(...this.receiver.take());
        return this.told.some(isIt);
      }, String(line));
    }

    exitCode(): number | null {
      return this.child.exitCode;
    }

    async end(signal: NodeJS.Signals): Promise<number | null> {
      const { exitCode, signalCode } = this.child;
      if (exitCode === null && signalCode === null) {
        const exited = once(this.child, 'exit');
        this.child.kill(signal);
        await exited;
        this.told.push(...this.receiver.take());
      }
      return this.child.exitCode;
    }
  }

  test('a controller is ready when it serves, a node when the word of its controller is in force', async () => {
    const state = join(directory.path, 'controller');
    const port = await freePort();
    const listen = ['--listen', `127.0.0.1:${port}`, '--epoch', '2'];
    const controller = new Service('controller', '--state', state, ...listen);
    await controller.hears('READY=1');
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
    expect(answer.ok).toBe(true);
    await controller.hears(/^STATUS=epoch 1, 0 members$/);

    const token = join(directory.path, 'token');
    writeFileSync(token, '\n');
    const parameters = ['node', '--name', 'a', '--state', join(directory.path, 'a')];
    parameters.push('--backend', 'userspace', '--token-file', token);
    parameters.push('--controller', `http://127.0.0.1:${port}`, '--poll', '0.3');
    parameters.push('--score-command', 'test -z "$NOTIFY_SOCKET$WATCHDOG_USEC" && echo 0.9');
    parameters.push('--emit', '0.3');
    const unenrolled = new Service(...parameters);
    await until(() => unenrolled.exitCode() !== null, 'the refusal');
    expect(unenrolled.exitCode()).toBe(4); // nothing in the file

    const socket = join(state, 'admin.sock');
    const made = await adminCall<TokenAnswer>({ socket }, 'POST', '/v1/tokens', {
      node_id: 'a',
      ttl_s: 60,
    });
    writeFileSync(token, `${made.token}\n`);
    const node = new Service(...parameters);
    await node.hears('READY=1');
    expect(existsSync(join(directory.path, 'a', 'enrolment.json'))).toBe(true);
    node.told.length = 0;
    await node.hears('WATCHDOG=1'); // the next one, after that which came with readiness
    await node.hears('STATUS=ready'); // its scores, measured without the manager's variables, count

    expect(await node.end('SIGTERM')).toBe(0);
    expect(node.told.at(-1)).toBe('STOPPING=1');
    controller.receiver.take(); // its queue is full by now
    controller.told.length = 0;
    await controller.hears('WATCHDOG=1');
    expect(await controller.end('SIGTERM')).toBe(0);
    expect(controller.told.at(-1)).toBe('STOPPING=1');
  });

  test('one that cannot start says nothing of readiness', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const state = join(directory.path, 'controller');
    const controller = new Service('controller', '--state', state, '--listen', `127.0.0.1:${port}`);
    await until(() => controller.exitCode() !== null, 'its end');
    expect(controller.exitCode()).toBe(1);
    expect(controller.receiver.take()).toEqual([]);
    taken.close();
  });
});
