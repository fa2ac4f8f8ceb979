import { expect, test } from 'vitest';
import { killUnderTraffic } from '../controller/support/kill-under-traffic.ts';

// controller-kill.long.test.ts is the same, two hundred times.
test('kill -9 under traffic loses no acknowledged score, makes no epoch twice, and leaves a log that is right', async () => {
  const result = await killUnderTraffic(8, 1);
  console.info(JSON.stringify(result));
  expect(result.failures).toEqual([]);
  expect(result.acknowledged).toBeGreaterThan(50);
  expect(result.confirmed).toBeGreaterThan(50);
});
