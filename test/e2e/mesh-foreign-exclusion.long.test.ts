import { expect, test } from 'vitest';
import { REAL_INTERFACES, requires } from '../lab/requirements.ts';
import { measureExclusions } from '../prove/exclusion-run.ts';

requires(
  ...REAL_INTERFACES,
  'tcpdump',
  'wireguard-go',
)('over 20 exclusions from a mesh with a foreign device in it', () => {
  // How fast is measured by `npm run prove -- exclusion --foreign`.
  test('every denied node falls silent at both members and comes back, and a killed agent leaves an empty device', async () => {
    const result = await measureExclusions({
      count: 20,
      push: true,
      pollMs: 10_000,
      rate: 200,
      foreign: true,
      kills: 2,
    });
    const { native, foreign } = result.by_member!;
    for (const figures of [native, foreign]) {
      expect(figures.exclusion_ms.count).toBe(20);
      expect(figures.exclusion_ms.max).toBeLessThan(result.bound_ms);
      expect(figures.readmission_ms.count).toBe(20);
    }
    expect(result.killed_agent?.emptied_ms.count).toBe(2);
    // Not hitless by construction, but neither may a flow between the two break off.
    const { sent, lost, duplicated } = result.between_members;
    expect(lost).toBeLessThan(sent / 20);
    expect(duplicated).toBe(0);
  });
});
