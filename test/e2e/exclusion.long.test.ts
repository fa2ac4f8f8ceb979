import { expect, test } from 'vitest';
import { boundMs, measureExclusions } from '../../native-bench/prove/exclusion-run.ts';
import { requires } from '../support/requirements.ts';

requires(
  'linux',
  'root',
  'tun',
  'netns',
  'node:ffi',
  'tcpdump',
)('over 300 exclusions', () => {
  test('the denied node is shut out within 100 ms of the commit', async () => {
    const result = await measureExclusions({ count: 300, push: true, pollMs: 10_000, rate: 500 });
    expect(result.exclusion_ms.p99).toBeLessThan(boundMs(true, 10_000));
    expect(result.between_members.lost).toBe(0);
  });
});
