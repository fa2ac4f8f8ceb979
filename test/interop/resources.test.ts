import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { until } from '../lab/netns.ts';
import { requires } from '../lab/requirements.ts';
import { useLab } from '../lab/use-lab.ts';
import { INTEROP_NEEDS, official, ours, socketOf } from './implementations.ts';
import { Pair } from './pair.ts';
import { useOf } from './processes.ts';
import { transferTcp } from './traffic.ts';

const IDLE_SECONDS = 10;

requires(...INTEROP_NEEDS)('beside wireguard-go', () => {
  const lab = useLab();

  test('is ready when its command returns, and gone when its interface is, again and again', async () => {
    const namespace = lab.namespace('u');
    const name = lab.interfaceName('u');
    for (let round = 0; round < 5; round++) {
      const { code, stderr } = await namespace.exec([ours.command(), name]);
      expect(code, stderr).toBe(0);
      expect(namespace.run(['wg', 'show', name])).toContain(name);
      namespace.run(['ip', 'link', 'del', name]);
      await until(() => namespace.interfaces().length === 0, 'the end of its interface');
      await until(() => !existsSync(socketOf(name)), 'the end of its daemon');
    }
  });

  test('uses less than 1 % of a core when idle; memory before and after a transfer', async () => {
    await Pair.with([ours, official], {}, async (pair) => {
      await pair.connect();
      const ends = [pair.left, pair.right];
      const before = ends.map(useOf);
      await sleep(IDLE_SECONDS * 1000);
      const idle = ends.map(useOf);
      await transferTcp(pair.left, pair.right, 200e6);
      await transferTcp(pair.right, pair.left, 200e6);
      const busy = ends.map(useOf);
      const share = (at: number) => (idle[at]!.cpu - before[at]!.cpu) / IDLE_SECONDS;
      const table = ends.map((end, at) => ({
        implementation: end.implementation.name,
        'idle CPU': `${(share(at) * 100).toFixed(2)} %`,
        'RSS idle': `${idle[at]!.rss.toFixed(0)} MB`,
        'RSS after 400 MB': `${busy[at]!.rss.toFixed(0)} MB`,
        threads: busy[at]!.threads,
        descriptors: busy[at]!.descriptors,
      }));
      console.table(table);
      expect(share(0)).toBeLessThan(0.01);
      expect(busy[0]!.descriptors).toBe(idle[0]!.descriptors);
    });
  });
});
