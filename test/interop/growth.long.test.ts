import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { until } from '../lab/netns.ts';
import { requires } from '../lab/requirements.ts';
import { INTEROP_NEEDS, official, ours } from './implementations.ts';
import { Pair } from './pair.ts';
import { type ProcessUse, useOf } from './processes.ts';

/** SOAK_SECONDS makes it shorter to try it out. */
const SECONDS = Number(process.env.SOAK_SECONDS ?? 600);
const SAMPLES = 20;

requires(
  ...INTEROP_NEEDS,
  'iperf3',
  'ss',
)('at full load', () => {
  test.each([
    { what: 'ours to ours', pair: [ours, ours] as const },
    { what: 'ours to wireguard-go', pair: [ours, official] as const },
  ])('$what: memory and descriptors do not grow', async ({ pair: implementations }) => {
    await Pair.with(implementations, {}, async (pair) => {
      const { left, right } = pair;
      await pair.connect();
      right.namespace.spawn(['iperf3', '-s', '-1', '-B', right.inner4]);
      const listening = () => right.namespace.run(['ss', '-ltn']).includes(`${right.inner4}:5201`);
      await until(listening, 'iperf3');
      const client = left.namespace.exec(
        // Both directions at once.
        ['iperf3', '-c', right.inner4, '--bidir', '-t', String(SECONDS), '-J'],
        { timeout: (SECONDS + 60) * 1000 },
      );
      const ends = [left, right].filter((end) => end.implementation === ours);
      const samples: ProcessUse[][] = [];
      for (let sample = 0; sample < SAMPLES; sample++) {
        await sleep((SECONDS * 1000 * 0.95) / SAMPLES);
        samples.push(ends.map(useOf));
      }
      const { code, stdout } = await client;
      expect(code, stdout.slice(0, 500)).toBe(0);
      const sum = (JSON.parse(stdout) as { end: Record<string, { bits_per_second: number }> }).end;
      console.log(
        `${SECONDS} s, ${((sum.sum_received?.bits_per_second ?? 0) / 1e9).toFixed(2)} Gbit/s there,`,
        `${((sum.sum_received_bidir_reverse?.bits_per_second ?? 0) / 1e9).toFixed(2)} back`,
      );
      ends.forEach((_, at) => {
        const series = samples.map((sample) => sample[at]!);
        console.log('RSS in MB:', series.map(({ rss }) => rss.toFixed(0)).join(' '));
        console.log('descriptors:', series.map(({ descriptors }) => descriptors).join(' '));
        // The engine has settled after a quarter of the time.
        const settled = series[SAMPLES / 4]!;
        const last = series.at(-1)!;
        expect(last.descriptors).toBe(settled.descriptors);
        expect(last.threads).toBe(settled.threads);
        expect(last.rss).toBeLessThan(settled.rss * 1.1);
      });
    });
  });
});
