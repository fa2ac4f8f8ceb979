import { expect, test } from 'vitest';
import { REAL_INTERFACES, requires } from '../lab/requirements.ts';
import { boundMs, measureExclusions } from '../prove/exclusion-run.ts';

// Real controller, nodes, TUN devices and traffic; the denied node does not obey. How fast it is, is
// measured by `npm run prove -- exclusion`; here the machine may be busy, so the times are generous.
requires(...REAL_INTERFACES, 'tcpdump')('a denied node', () => {
  test('is neither heard nor spoken to soon after the commit, and is back soon after the next', async () => {
    const result = await measureExclusions({ count: 5, push: true, pollMs: 10_000, rate: 200 });
    expect(result.exclusions).toBe(5);
    expect(result.exclusion_ms.p50).toBeLessThan(5000);
    expect(result.readmission_ms.p50).toBeLessThan(5000);
    expect(result.between_members.sent).toBeGreaterThan(100);
    const { lost, dropped_by_interface } = result.between_members;
    expect(lost).toBeLessThanOrEqual(dropped_by_interface); // this machine may be too slow to send
    expect(result.between_members.duplicated).toBe(0);
  }, 300_000);

  test('is shut out by polling alone within interval, jitter and half a second', async () => {
    const result = await measureExclusions({ count: 2, push: false, pollMs: 1000, rate: 200 });
    expect(result.exclusion_ms.max).toBeLessThan(boundMs(false, 1000) + 3000);
  }, 300_000);
});
