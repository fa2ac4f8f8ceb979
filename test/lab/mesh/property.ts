import fc from 'fast-check';
import { type Schedule, schedule } from './schedule.ts';
import { type Coverage, play } from './sim-mesh.ts';

/** Own tuning: real time for the shortening of one that failed. */
const SHORTENING_MS = 200_000;

/** Plays `examples` and then as many random schedules as make it `runs`; returns what they covered. */
export async function playMany(
  runs: number,
  seed: number,
  examples: readonly Schedule[],
): Promise<Coverage> {
  const sum: Coverage = {
    epochs: 0,
    delivered: 0,
    working: 0,
    excused: 0,
    simulatedS: 0,
    splitViews: 0,
  };
  await fc.assert(
    fc.asyncProperty(schedule, async (one) => {
      const covered = await play(one);
      for (const key of Object.keys(sum) as (keyof Coverage)[]) sum[key] += covered[key];
    }),
    {
      numRuns: runs,
      seed,
      examples: examples.map((one) => [one]),
      interruptAfterTimeLimit: runs * 1000 + SHORTENING_MS,
      markInterruptAsFailure: true,
    },
  );
  return sum;
}
