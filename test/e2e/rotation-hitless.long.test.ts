import { expect, test } from 'vitest';
import { REAL_INTERFACES, requires } from '../lab/requirements.ts';
import { measureHitless } from '../prove/hitless-run.ts';

requires(...REAL_INTERFACES)('100 rotations on real TUN devices', () => {
  // How long TCP stalls is measured by `npm run prove -- hitless`, on a machine that does nothing else.
  test('lose no UDP packet and hold up no TCP connection', async () => {
    const result = await measureHitless({
      rotations: 100,
      epochS: 2,
      rates: [500, 1000, 2000, 4000],
      trialS: 5,
      size: 1200,
    });
    const { udp, rotations, tcp } = result.with_rotation;
    expect(rotations).toBeGreaterThanOrEqual(90);
    expect(udp.lost).toBeLessThanOrEqual(udp.dropped_by_interface);
    expect(udp.duplicated).toBe(0);
    expect(tcp.blocks).toBeGreaterThan(1000);
    expect(result.stall_difference_ms).toBeLessThan(10_000);
  });
});
