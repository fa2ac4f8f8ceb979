/**
 * Random schedules of rotations, denials, readmissions, restarts, suspends, partitions, controller
 * crashes, losses, reorderings and clock steps, over a whole mesh in simulated time.
 *
 *   npm run test:long test/simulation/schedules
 *
 * MESHNET_RUNS  how many schedules, 1000 unless told otherwise (about 0.3 s each)
 * MESHNET_SEED  an integer; the same seed plays the same schedules. Other ones each time without it.
 *
 * A failure shows the schedule, made as short as possible: put it into `test/lab/mesh/examples.ts`.
 */
import { expect, test } from 'vitest';
import { playMany } from '../lab/mesh/property.ts';

const RUNS = Number(process.env.MESHNET_RUNS ?? 1000);
const SEED = Number(process.env.MESHNET_SEED ?? Date.now() % 2 ** 31);

test(
  'nobody hears or answers who is out, no config outlives its time, and a calm mesh works',
  async () => {
    const covered = await playMany(RUNS, SEED, []);
    console.info({ runs: RUNS, seed: SEED, ...covered });
    expect(covered.working).toBeGreaterThan(RUNS);
  },
  60_000 + RUNS * 5000,
);
