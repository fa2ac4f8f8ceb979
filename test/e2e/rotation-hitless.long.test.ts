import { expect, test } from 'vitest';
import { measureHitless } from '../../native-bench/prove/hitless-run.ts';
import { requires } from '../support/requirements.ts';

requires(
  'linux',
  'root',
  'tun',
  'netns',
  'node:ffi',
)('100 rotations on real TUN devices', () => {
  test('lose no UDP packet and stall TCP no longer than none would, and 50 ms', async () => {
    const result = await measureHitless({
      rotations: 100,
      epochS: 2,
      rates: [500, 1000, 2000, 4000],
      trialS: 5,
      size: 1200,
    });
    expect(result.with_rotation.udp.lost).toBe(0);
    expect(result.stall_difference_ms).toBeLessThanOrEqual(50);
    expect(result.passed).toBe(true);
  });
});
