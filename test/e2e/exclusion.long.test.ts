import { expect, test } from 'vitest';
import { REAL_INTERFACES, requires } from '../lab/requirements.ts';
import { measureExclusions } from '../prove/exclusion-run.ts';

requires(...REAL_INTERFACES, 'tcpdump')('over 300 exclusions', () => {
  // How fast is measured by `npm run prove -- exclusion`, on a machine that does nothing else.
  test('every denied node falls silent and no member loses a packet', async () => {
    const result = await measureExclusions({ count: 300, push: true, pollMs: 10_000, rate: 200 });
    expect(result.exclusions).toBe(300);
    expect(result.exclusion_ms.p99).toBeLessThan(5000);
    const { lost, duplicated, dropped_by_interface } = result.between_members;
    expect(lost).toBeLessThanOrEqual(dropped_by_interface);
    expect(duplicated).toBe(0);
  });
});
