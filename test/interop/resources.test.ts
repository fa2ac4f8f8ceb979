import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { until } from '../lab/netns.ts';
import { type ThreadUsage, threadUsage } from '../lab/process-usage.ts';
import { requires } from '../lab/requirements.ts';
import { useLab } from '../lab/use-lab.ts';
import { INTEROP_NEEDS, official, ours, socketOf } from './implementations.ts';
import { Pair } from './pair.ts';
import { useOf } from './processes.ts';
import { transferTcp } from './traffic.ts';

/** From the start on. */
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
      const pid = pair.left.daemon!.pid!;
      const seconds = [threadUsage(pid)];
      for (let second = 0; second < IDLE_SECONDS; second++) {
        await sleep(1000);
        seconds.push(threadUsage(pid));
      }
      const idle = ends.map(useOf);
      await transferTcp(pair.left, pair.right, 200e6);
      await transferTcp(pair.right, pair.left, 200e6);
      const busy = ends.map(useOf);
      const share = (at: number) => (idle[at]!.cpu - before[at]!.cpu) / IDLE_SECONDS;
      const table = ends.map((end, at) => ({
        implementation: end.implementation.name,
        'idle CPU': `${(share(at) * 100).toFixed(1)} %`,
        'RSS idle': `${idle[at]!.rss.toFixed(0)} MB`,
        'RSS after 400 MB': `${busy[at]!.rss.toFixed(0)} MB`,
        threads: busy[at]!.threads,
        descriptors: busy[at]!.descriptors,
      }));
      console.table(table);
      expect(share(0), worked(seconds)).toBeLessThan(0.01);
      expect(busy[0]!.descriptors).toBe(idle[0]!.descriptors);
    });
  });
});

/** Which threads worked for how many ms in each second, those with 5 and more. */
function worked(seconds: readonly ThreadUsage[][]): string {
  return seconds
    .slice(1)
    .map((threads, i) => {
      const before = new Map(seconds[i]!.map(({ id, running }) => [id, running]));
      const busy = threads.flatMap(({ id, name, running }) => {
        const ms = Math.round((running - (before.get(id) ?? 0)) * 1000);
        return ms < 5 ? [] : `${name} ${ms}`;
      });
      return `second ${i}: ${busy.join(', ') || 'none'}`;
    })
    .join('; ');
}
