import fc from 'fast-check';
import { type Schedule, schedule } from './schedule.ts';
import { type Coverage, play } from './sim-mesh.ts';

/** Own tuning: real time for one schedule, which takes about 0.3 s. */
const LONGEST_MS = 20_000;

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
      // A schedule that never ends is shown like any other that fails, and is shortened only so long.
      timeout: LONGEST_MS,
      interruptAfterTimeLimit: runs * 1000 + 10 * LONGEST_MS,
      markInterruptAsFailure: true,
    },
  );
  return sum;
}
