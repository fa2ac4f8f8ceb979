import { expect, test } from 'vitest';
import { fuzzHttp } from '../controller/support/fuzz-http.ts';

// `npm run fuzz:http -- --count 100000` is the same for longer.
test('five thousand hostile requests get no 5xx, change nothing, and no secret is told', async () => {
  const result = await fuzzHttp({ count: 5000, seed: 7 });
  expect(result.failures).toEqual([]);
  expect(result.sent).toBe(5000);
  // Most of what is worth trying was tried.
  expect(Object.keys(result.codes).length).toBeGreaterThan(15);
});
