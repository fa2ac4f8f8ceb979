import { expect, test } from 'vitest';
import { REAL_INTERFACES, requires } from '../lab/requirements.ts';
import { attackAsDenied } from '../prove/denied-run.ts';

requires(...REAL_INTERFACES, 'tcpdump')('on real TUN devices', () => {
  test('a denied node that does everything it can is accepted nowhere', async () => {
    const result = await attackAsDenied(50, 1000);
    for (const attack of result.attacks) {
      expect(attack, attack.attack).toMatchObject({ written_to_tun: 0, sealed_or_answered: 0 });
    }
    expect(result.calls).toMatchObject({
      own_config: { allowed: false, peers: 0, psks: false },
      config_of_another: 'wrong_node',
      stream_of_another: 'wrong_node',
      enrol_with_used_token: 'token_used',
      enrol_again_with_new_keys: 'node_exists',
      enrol_under_another_name: 'key_in_use',
      enrol_as_a_member: 'node_exists',
    });
    const { lost, dropped_by_interface } = result.between_members;
    expect(lost).toBeLessThanOrEqual(dropped_by_interface);
    expect(result.responses_after_readmission).toBe(0);
  }, 300_000);
});
