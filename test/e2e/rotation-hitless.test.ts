import { expect, test } from 'vitest';
import { measureHitless } from '../../native-bench/prove/hitless-run.ts';
import { requires } from '../support/requirements.ts';

// `npm run prove:hitless` measures 100 rotations; here the machine may be busy, so that only what
// does not depend on it is exact.
requires(
  'linux',
  'root',
  'tun',
  'netns',
  'node:ffi',
)('rotations on real TUN devices', () => {
  test('lose no UDP packet and hold up no TCP connection', async () => {
    const result = await measureHitless({
      rotations: 4,
      epochS: 2,
      rates: [500],
      trialS: 2,
      size: 1200,
    });
    const { udp, rotations, tcp } = result.with_rotation;
    expect(rotations).toBeGreaterThanOrEqual(3);
    expect(udp.sent).toBeGreaterThan(200);
    expect(udp.lost).toBeLessThanOrEqual(udp.dropped_by_interface);
    expect(udp.duplicated).toBe(0);
    expect(tcp.blocks).toBeGreaterThan(50);
    expect(result.stall_difference_ms).toBeLessThan(10_000);
  }, 300_000);
});
