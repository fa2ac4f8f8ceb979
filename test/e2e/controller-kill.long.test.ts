import { expect, test } from 'vitest';
import { killUnderTraffic } from '../controller/support/kill-under-traffic.ts';

test('kill -9, two hundred times at random moments, loses and repeats nothing', async () => {
  const result = await killUnderTraffic(200, 2);
  console.info(JSON.stringify(result));
  expect(result.failures).toEqual([]);
  expect(result.acknowledged).toBeGreaterThan(2000);
  expect(result.whileStarting).toBeGreaterThan(10);
});
