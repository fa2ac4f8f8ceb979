import { afterEach, expect, test } from 'vitest';
import { ServiceManager, takeServiceEnvironment } from '../../src/cli/service-manager.ts';
import { SimClock } from '../lab/agent-clock.ts';
import { NotifyReceiver } from '../lab/notify-receiver.ts';
import { requires } from '../lab/requirements.ts';

const WATCHDOG_MS = 30_000;
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

function managed(kind: 'path' | 'abstract', watchdogMs?: number) {
  const receiver = new NotifyReceiver(kind);
  cleanups.push(() => receiver.close());
  const clock = new SimClock();
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message);
  const manager = new ServiceManager({ socket: receiver.address, watchdogMs }, clock, warn);
  cleanups.push(() => manager.close());
  return { receiver, manager, warnings, clock };
}

requires('linux', 'node:ffi')('the service manager is told', () => {
  test.for(['path', 'abstract'] as const)('of readiness and the end, by %s', (kind) => {
    const { receiver, manager, warnings } = managed(kind);
    manager.status('member of epoch 7');
    manager.ready(async () => {});
    manager.ready(async () => {}); // said once
    manager.stopping();
    expect(receiver.take()).toEqual(['STATUS=member of epoch 7', 'READY=1', 'STOPPING=1']);
    expect(warnings).toEqual([]);
  });

  test('that the service lives, three times in the period of the watchdog', async () => {
    const { receiver, manager, clock } = managed('path', WATCHDOG_MS);
    await clock.advance(WATCHDOG_MS);
    expect(receiver.take()).toEqual([]); // not before it is ready
    manager.ready(async () => {});
    await clock.settle();
    expect(receiver.take()).toEqual(['READY=1', 'WATCHDOG=1']);
    await clock.advance(WATCHDOG_MS);
    expect(receiver.take()).toEqual(Array(3).fill('WATCHDOG=1'));
    manager.stopping();
    await clock.advance(WATCHDOG_MS);
    expect(receiver.take()).toEqual(['STOPPING=1']);
  });

  test('nothing while a part of the service fails or hangs', async () => {
    const { receiver, manager, clock } = managed('path', WATCHDOG_MS);
    let part = async () => {};
    manager.ready(() => part());
    await clock.settle();
    part = async () => {
      throw new Error('the tunnel is closed');
    };
    receiver.take();
    await clock.advance(WATCHDOG_MS);
    expect(receiver.take()).toEqual([]);
    part = async () => {};
    await clock.advance(WATCHDOG_MS / 2);
    expect(receiver.take()).toContain('WATCHDOG=1');
    part = () => new Promise(() => {});
    await clock.advance(WATCHDOG_MS / 2);
    receiver.take();
    await clock.advance(2 * WATCHDOG_MS);
    expect(receiver.take()).toEqual([]);
  });

  test('what its full queue had no room for, later, and only the newest', async () => {
    const { receiver, manager, clock, warnings } = managed('abstract');
    for (let i = 0; i < 5000; i++) manager.status(`status ${i}`);
    manager.ready(async () => {});
    const first = receiver.take();
    expect(first).not.toContain('READY=1');
    expect(first.length).toBeLessThan(5000);
    await clock.advance(1000);
    expect(receiver.take()).toEqual(['STATUS=status 4999', 'READY=1']);
    expect(warnings).toEqual([]);
  });

  test('nothing that the text of a status makes up', () => {
    const { receiver, manager } = managed('path');
    manager.status(`denied\nREADY=1 \u001b[2J${'x'.repeat(5000)}`);
    const [status, ...rest] = receiver.take();
    expect(status).toMatch(/^STATUS=denied READY=1 \ufffd\[2Jx{100,}$/);
    expect(rest).toEqual([]);
  });

  test('no more where it is gone, which is said once', () => {
    const { receiver, manager, warnings } = managed('path');
    receiver.close();
    cleanups.shift();
    manager.ready(async () => {});
    manager.stopping();
    expect(warnings).toEqual([expect.stringMatching(/^NOTIFY_SOCKET: .*sendmsg: ENOENT$/)]);
  });

  test.for(['vsock:2:1', 'relative/path', '/', '@', `/${'x'.repeat(107)}`])(
    'nothing at %s, which is no address of a socket',
    (socket) => {
      const warnings: string[] = [];
      const environment = { socket, watchdogMs: undefined };
      const manager = new ServiceManager(environment, new SimClock(), (message) =>
        warnings.push(message),
      );
      manager.ready(async () => {});
      expect(warnings).toEqual([expect.stringContaining('expected an absolute path')]);
    },
  );
});

test('what this process starts does not find the manager of the service', () => {
  const pid = String(process.pid);
  const environment: NodeJS.ProcessEnv = {
    NOTIFY_SOCKET: '/run/systemd/notify',
    WATCHDOG_USEC: '60000000',
    WATCHDOG_PID: pid,
    PATH: '/bin',
  };
  const found = takeServiceEnvironment(environment);
  expect(found).toEqual({ socket: '/run/systemd/notify', watchdogMs: 60_000 });
  expect(environment).toEqual({ PATH: '/bin' });
});

test('a watchdog that is meant for another process, or is none, is not fed', () => {
  for (const environment of [
    { WATCHDOG_USEC: '5000', WATCHDOG_PID: '1' },
    { WATCHDOG_USEC: 'x' },
  ]) {
    expect(takeServiceEnvironment({ ...environment }).watchdogMs).toBeUndefined();
  }
});
