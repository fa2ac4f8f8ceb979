import { expect, test } from 'vitest';
import { FOUND, RULES } from '../lab/mesh/examples.ts';
import { playMany } from '../lab/mesh/property.ts';

const EXAMPLES = [...RULES, ...FOUND];
const RANDOM = 5;

/**
 * Controller, agents and tunnels of a whole mesh in simulated time, under whatever may happen to
 * it. `schedules.long.test.ts` plays a thousand schedules, and others each time.
 */
test('nobody hears or answers who is out, no config outlives its time, and a calm mesh works', async () => {
  const covered = await playMany(EXAMPLES.length + RANDOM, 1, EXAMPLES);
  expect(covered.working).toBeGreaterThan(50);
  expect(covered.delivered).toBeGreaterThan(1000);
  expect(covered.splitViews).toBeGreaterThanOrEqual(2);
}, 120_000);
