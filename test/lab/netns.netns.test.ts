import { expect, test } from 'vitest';
import { ended, Lab } from './netns.ts';
import { requires } from './requirements.ts';

requires(
  'linux',
  'root',
  'netns',
  'ping',
)('a lab of namespaces', () => {
  test('connects two namespaces and leaves nothing behind', async () => {
    const lab = new Lab();
    const left = lab.namespace('left');
    const right = lab.namespace('right');
    lab.veth(left, right, {
      left: ['10.0.0.1/24', 'fd00::1/64'],
      right: ['10.0.0.2/24', 'fd00::2/64'],
      mtu: 9000,
    });
    expect((await left.exec(['ping', '-c1', '-W2', '10.0.0.2'])).code).toBe(0);
    expect((await right.exec(['ping', '-c1', '-W2', 'fd00::1'])).code).toBe(0);
    expect(left.interfaces()).toHaveLength(1);
    left.spawn(['sleep', '600']);
    expect(await lab.close()).toEqual([]);
  });

  test('names a process that outlived its test', async () => {
    const lab = new Lab();
    const namespace = lab.namespace('a');
    const shell = namespace.spawn(['sh', '-c', 'setsid sleep 600 >/dev/null 2>&1 &']);
    await ended(shell);
    await expect(lab.close()).resolves.toEqual([expect.stringContaining('sleep 600')]);
  });

  test('names an interface left in the root namespace', async () => {
    const lab = new Lab();
    const name = lab.interfaceName('d');
    await ended(lab.spawn(['ip', 'tuntap', 'add', 'mode', 'tun', name]));
    await expect(lab.close()).resolves.toEqual([`interface ${name}`]);
  });
});
