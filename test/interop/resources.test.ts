import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { until } from '../lab/netns.ts';
import { requires } from '../lab/requirements.ts';
import { median } from '../lab/statistics.ts';
import { useLab } from '../lab/use-lab.ts';
import { INTEROP_NEEDS, official, ours, socketOf } from './implementations.ts';
import { Pair } from './pair.ts';
import { useOf } from './processes.ts';
import { transferTcp } from './traffic.ts';

/** Several, because V8 tidies up once, at a moment of its own, after a program has started. */
const WINDOWS = 3;
const WINDOW_SECONDS = 5;

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
      const samples = [ends.map(useOf)];
      for (let window = 0; window < WINDOWS; window++) {
        await sleep(WINDOW_SECONDS * 1000);
        samples.push(ends.map(useOf));
      }
      const idle = samples.at(-1)!;
      await transferTcp(pair.left, pair.right, 200e6);
      await transferTcp(pair.right, pair.left, 200e6);
      const busy = ends.map(useOf);
      const shares = (at: number) =>
        samples.slice(1).map((use, i) => (use[at]!.cpu - samples[i]![at]!.cpu) / WINDOW_SECONDS);
      const share = (at: number) => median(shares(at));
      const table = ends.map((end, at) => ({
        implementation: end.implementation.name,
        'idle CPU': shares(at)
          .map((one) => `${(one * 100).toFixed(1)} %`)
          .join(', '),
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
