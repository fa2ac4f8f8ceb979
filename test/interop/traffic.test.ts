import { expect, test } from 'vitest';
import { forEveryPair } from './matrix.ts';
import { generatePsk } from './pair.ts';
import { sendUdp, transferTcp } from './traffic.ts';

forEveryPair('traffic', (withPair, [from, to]) => {
  test.each([
    { outer: 4, psk: false },
    { outer: 6, psk: false },
    { outer: 4, psk: true },
    { outer: 6, psk: true },
  ] as const)('ping over IPv$outer, pre-shared key: $psk', async ({ outer, psk }) => {
    const options = { outer, ...(psk ? { presharedKey: generatePsk() } : {}) };
    await withPair(options, async ({ left, right }) => {
      const five = ['-c', '5', '-i', '0.02', '-W', '10'];
      expect(await left.ping(right.inner4, five)).toBe(true);
      expect(await left.ping(right.inner6, five)).toBe(true);
      expect(await right.ping(left.inner4, five)).toBe(true);
      expect(await right.ping(left.inner6, five)).toBe(true);
      // Each end knows the other by the address that was spoken to.
      expect(right.show('endpoints', left.keys.publicKey)).toBe(left.endpoint(outer));
      expect(left.show('endpoints', right.keys.publicKey)).toBe(right.endpoint(outer));
    });
  });

  test('a wrong pre-shared key keeps them apart', async () => {
    await withPair({ presharedKey: generatePsk() }, async ({ left, right }) => {
      right.set(['peer', left.keys.publicKey, 'preshared-key', '/dev/stdin'], generatePsk());
      expect(await left.ping(right.inner4, ['-c', '2', '-W', '2'])).toBe(false);
      expect(left.latestHandshake(right.keys.publicKey)).toBe(0);
    });
  });

  test('200 MB of TCP both ways, unchanged', async () => {
    await withPair({}, async ({ left, right }) => {
      const there = await transferTcp(left, right, 200e6);
      const back = await transferTcp(right, left, 200e6, 6);
      const [out, home] = [there.toFixed(0), back.toFixed(0)];
      console.log(`200 MB ${from.name} to ${to.name}: ${out} Mbit/s there, ${home} back`);
    });
  });

  test.each([1280, 1420, 9000])('TCP, UDP and full-size pings at MTU %d', async (mtu) => {
    await withPair({ mtu }, async ({ left, right }) => {
      const full = (headers: number) => ['-c', '2', '-M', 'do', '-s', String(mtu - headers)];
      expect(await left.ping(right.inner4, full(28))).toBe(true);
      expect(await left.ping(right.inner6, full(48))).toBe(true);
      await transferTcp(left, right, 20e6, 6);
      await transferTcp(right, left, 20e6);
      for (const family of [4, 6] as const) {
        const count = await sendUdp(left, right, 500, { family, mtu });
        expect(count).toEqual({ received: 500, distinct: 500 });
      }
    });
  });

  test('packets that the sender fragments', async () => {
    await withPair({}, async ({ left, right }) => {
      const large = ['-c', '3', '-i', '0.05', '-s', '8000'];
      expect(await left.ping(right.inner4, large)).toBe(true);
      expect(await left.ping(right.inner6, large)).toBe(true);
    });
  });
});
