import { expect, test } from 'vitest';
import { forEveryPair } from './matrix.ts';
import type { End } from './pair.ts';
import { reaches } from './traffic.ts';

/** Moves an end to another address and port; what it had is gone. */
function move(end: End, address: string, port: number): void {
  const { namespace, link } = end;
  namespace.run(['sysctl', '-qw', 'net.ipv4.conf.all.promote_secondaries=1']);
  namespace.run(['ip', 'address', 'add', `${address}/24`, 'dev', link]);
  namespace.run(['ip', 'address', 'del', `${end.outer4}/24`, 'dev', link]);
  end.set(['listen-port', String(port)]);
}

forEveryPair('roaming', (withPair) => {
  test('each end follows the other to another address and port', async () => {
    await withPair({}, async (pair) => {
      await pair.connect();
      const { left, right } = pair;
      move(left, '192.168.77.11', 52_001);
      expect(await left.ping(right.inner4)).toBe(true);
      expect(right.show('endpoints', left.keys.publicKey)).toBe('192.168.77.11:52001');
      expect(await right.ping(left.inner4)).toBe(true);
      move(right, '192.168.77.12', 52_002);
      expect(await right.ping(left.inner4)).toBe(true);
      expect(left.show('endpoints', right.keys.publicKey)).toBe('192.168.77.12:52002');
      expect(await left.ping(right.inner4)).toBe(true);
    });
  });

  test('from IPv4 to IPv6 and back', async () => {
    await withPair({}, async (pair) => {
      await pair.connect();
      const { left, right } = pair;
      for (const family of [6, 4] as const) {
        left.set(['peer', right.keys.publicKey, 'endpoint', right.endpoint(family)]);
        await reaches(left, right, `an answer over IPv${family}`);
        expect(right.show('endpoints', left.keys.publicKey)).toBe(left.endpoint(family));
        await reaches(right, left, `the way back over IPv${family}`);
      }
    });
  });

  test('over link-local addresses', async () => {
    await withPair({}, async (pair) => {
      const { left, right } = pair;
      for (const [end, address] of [
        [left, 'fe80::76/64'],
        [right, 'fe80::77/64'],
      ] as const) {
        end.namespace.run(['ip', 'address', 'add', address, 'dev', end.link, 'nodad']);
      }
      const endpoint = `[fe80::77%${left.link}]:${right.port}`;
      left.set(['peer', right.keys.publicKey, 'endpoint', endpoint]);
      await reaches(left, right, 'an answer over link-local addresses');
      const seen = right.show('endpoints', left.keys.publicKey);
      expect(seen).toMatch(new RegExp(`^\\[fe80::[0-9a-f:]+%${right.link}\\]:${left.port}$`));
      expect(await right.ping(left.inner6)).toBe(true);
    });
  });
});
