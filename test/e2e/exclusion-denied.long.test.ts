import { expect, test } from 'vitest';
import { REAL_INTERFACES, requires } from '../lab/requirements.ts';
import { attackAsDenied, EXPECTED_CALLS } from '../prove/denied-run.ts';

requires(...REAL_INTERFACES, 'tcpdump')('on real TUN devices', () => {
  test('a denied node that does everything it can is accepted nowhere', async () => {
    const result = await attackAsDenied(50, 1000);
    for (const attack of result.attacks) {
      expect(attack, attack.attack).toMatchObject({ written_to_tun: 0, sealed_or_answered: 0 });
    }
    expect(result.calls).toEqual(EXPECTED_CALLS);
    const { lost, dropped_by_interface } = result.between_members;
    expect(lost).toBeLessThanOrEqual(dropped_by_interface);
    expect(result.responses_after_readmission).toBe(0);
  }, 300_000);
});
