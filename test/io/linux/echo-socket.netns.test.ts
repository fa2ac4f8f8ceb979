import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { O_RDONLY } from '../../../src/io/linux/constants.ts';
import { EchoSocket } from '../../../src/io/linux/echo-socket.ts';
import { must, SystemCallError } from '../../../src/io/linux/errno.ts';
import { inNamespace, openPath } from '../../../src/io/linux/namespace.ts';
import { syscalls } from '../../../src/io/linux/syscalls.ts';
import type { Namespace } from '../../lab/netns.ts';
import { requires } from '../../lab/requirements.ts';
import { useLab } from '../../lab/use-lab.ts';

requires(
  'linux',
  'root',
  'netns',
  'node:ffi',
)('echoes through one interface', () => {
  let left: Namespace;
  let right: Namespace;
  let lan: Namespace;
  const lab = useLab(() => {
    left = lab.namespace('left');
    right = lab.namespace('right');
    lan = lab.namespace('lan');
    left.run([
      'ip',
      'link',
      'add',
      'near',
      'type',
      'veth',
      'peer',
      'name',
      'far',
      'netns',
      right.name,
    ]);
    left.run([
      'ip',
      'link',
      'add',
      'other',
      'type',
      'veth',
      'peer',
      'name',
      'lan',
      'netns',
      lan.name,
    ]);
    for (const [namespace, name, address] of [
      [left, 'near', '10.9.0.1/24'],
      [right, 'far', '10.9.0.2/24'],
      [left, 'other', '10.9.1.1/24'],
      [lan, 'lan', '10.9.1.2/24'],
    ] as const) {
      namespace.run(['ip', 'address', 'add', address, 'dev', name]);
      namespace.run(['ip', 'link', 'set', name, 'up']);
    }
    left.run(['ip', 'address', 'add', 'fd09::1/64', 'dev', 'near', 'nodad']);
    right.run(['ip', 'address', 'add', 'fd09::2/64', 'dev', 'far', 'nodad']);
    left.run(['ip', 'link', 'set', 'lo', 'up']);
  });

  function open(interfaceName: string, source: string): EchoSocket {
    const descriptor = must(openPath(left.path, O_RDONLY), 'open namespace');
    try {
      const socket = new EchoSocket(
        { interfaceName, source, inNamespace: (body) => inNamespace(descriptor, body) },
        (length) => randomBytes(length),
      );
      onTestFinished(() => socket.close());
      return socket;
    } finally {
      syscalls().close(descriptor);
    }
  }

  test('are answered over IPv4 and IPv6, in the time that the kernel saw', async () => {
    for (const [source, to] of [
      ['10.9.0.1', '10.9.0.2'],
      ['fd09::1', 'fd09::2'],
    ] as const) {
      const rtt = await open('near', source).ping(to, 2000);
      expect(rtt).toBeGreaterThan(0);
      expect(rtt).toBeLessThan(2000);
    }
  });

  test('are unanswered where only another interface leads to the address', async () => {
    const socket = open('near', '10.9.0.1');
    expect(await socket.ping('10.9.1.2', 300)).toBeUndefined(); // a neighbour on the LAN
    expect(await socket.ping('10.9.1.1', 300)).toBeUndefined(); // this machine itself
    expect(await socket.ping('10.9.0.99', 300)).toBeUndefined(); // nobody
  });

  test('many at once are all answered, and a full queue waits its turn', async () => {
    const socket = open('near', '10.9.0.1');
    const answers = await Promise.all(
      Array.from({ length: 1000 }, () => socket.ping('10.9.0.2', 10_000)),
    );
    expect(answers.filter((rtt) => rtt === undefined)).toEqual([]);
  });

  test('that cannot be sent fail with the reason, and are never taken for silence', async () => {
    const socket = open('near', '10.9.0.1');
    await expect(socket.ping('fd09::2', 300)).rejects.toThrow('same family');
    left.run(['ip', 'link', 'set', 'near', 'down']);
    await expect(socket.ping('10.9.0.2', 300)).rejects.toThrow(SystemCallError);
    left.run(['ip', 'link', 'set', 'near', 'up']);
    expect(await socket.ping('10.9.0.2', 5000)).toBeGreaterThan(0);
    expect(() => open('nowhere', '10.9.0.1')).toThrow('there is no such interface');
    expect(() => open('near', '10.9.0.7')).toThrow('does not have this address');
  });

  test('under way when the socket is closed end without an answer', async () => {
    const socket = open('near', '10.9.0.1');
    const asked = socket.ping('10.9.0.99', 60_000);
    socket.close();
    expect(await asked).toBeUndefined();
    expect(await socket.ping('10.9.0.2', 60_000)).toBeUndefined();
  });
});
