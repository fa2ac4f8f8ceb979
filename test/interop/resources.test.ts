import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { until } from '../lab/netns.ts';
import { requires } from '../lab/requirements.ts';
import { useLab } from '../lab/use-lab.ts';
import { type Implementation, INTEROP_NEEDS, official, ours, socketOf } from './implementations.ts';
import { Pair } from './pair.ts';
import { useOf } from './processes.ts';
import { transferTcp } from './traffic.ts';

const IDLE_SECONDS = 10;

/**
 * How much slower this machine is at this moment than one with nothing else to do, at least 1:
 * there, a Node that does nothing is back within 60 ms.
 */
function machineSlowness(): number {
  const times = Array.from({ length: 3 }, () => {
    const start = performance.now();
    execFileSync(process.execPath, ['-e', '0']);
    return performance.now() - start;
  });
  return Math.max(1, Math.max(...times) / 60);
}

requires(...INTEROP_NEEDS)('beside wireguard-go', () => {
  const lab = useLab();

  /** ms from the call to its return: then interface and socket exist. */
  async function startToReady(implementation: Implementation, label: string): Promise<number[]> {
    const namespace = lab.namespace(label);
    const name = lab.interfaceName(label);
    const times: number[] = [];
    for (let round = 0; round < 5; round++) {
      const start = performance.now();
      const { code, stderr } = await namespace.exec([implementation.command(), name]);
      times.push(performance.now() - start);
      expect(code, stderr).toBe(0);
      expect(namespace.run(['wg', 'show', name])).toContain(name);
      namespace.run(['ip', 'link', 'del', name]);
      await expect.poll(() => namespace.interfaces(), { timeout: 5000 }).toEqual([]);
      await until(() => !existsSync(socketOf(name)), 'the end of its daemon');
    }
    return times.sort((a, b) => a - b);
  }

  test('is ready in less than 400 ms', async () => {
    const slowness = machineSlowness();
    const table: Record<string, string> = {};
    for (const implementation of [official, ours]) {
      const times = await startToReady(implementation, implementation === ours ? 'u' : 'g');
      table[implementation.name] =
        `${times.map((time) => time.toFixed(0)).join(', ')} ms (machine ${slowness.toFixed(1)})`;
      if (implementation === ours) expect(times[0]).toBeLessThan(400 * slowness);
    }
    console.log('start to ready:', table);
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
