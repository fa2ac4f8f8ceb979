import { describe, expect, test } from 'vitest';
import { requires } from '../support/requirements.ts';
import { INTEROP_NEEDS, PAIRS } from './implementations.ts';
import { generatePsk, Pair } from './pair.ts';
import { sendUdp, transferTcp } from './traffic.ts';

requires(...INTEROP_NEEDS)('traffic', () => {
  describe.each(PAIRS.map((pair) => ({ pair, from: pair[0].name, to: pair[1].name })))(
    '$from to $to',
    ({ pair }) => {
      test.each([
        { outer: 4, psk: false },
        { outer: 6, psk: false },
        { outer: 4, psk: true },
        { outer: 6, psk: true },
      ] as const)('ping over IPv$outer, pre-shared key: $psk', async ({ outer, psk }) => {
        const options = { outer, ...(psk ? { presharedKey: generatePsk() } : {}) };
        await Pair.with(pair, options, async ({ left, right }) => {
          const five = ['-c', '5', '-i', '0.02', '-W', '2'];
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
        await Pair.with(pair, { presharedKey: generatePsk() }, async ({ left, right }) => {
          right.set(['peer', left.keys.publicKey, 'preshared-key', '/dev/stdin'], generatePsk());
          expect(await left.ping(right.inner4, ['-c', '2', '-W', '2'])).toBe(false);
          expect(left.latestHandshake(right.keys.publicKey)).toBe(0);
        });
      });

      test('200 MB of TCP both ways, unchanged', async () => {
        await Pair.with(pair, {}, async ({ left, right }) => {
          const there = await transferTcp(left, right, 200e6);
          const back = await transferTcp(right, left, 200e6, 6);
          console.log(
            `200 MB ${left.implementation.name} to ${right.implementation.name}:`,
            `${there.toFixed(0)} Mbit/s there, ${back.toFixed(0)} back`,
          );
        });
      });

      test.each([1280, 1420, 9000])('TCP, UDP and full-size pings at MTU %d', async (mtu) => {
        await Pair.with(pair, { mtu }, async ({ left, right }) => {
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

      test('UDP that the sender fragments', async () => {
        await Pair.with(pair, {}, async ({ left, right }) => {
          expect(await left.ping(right.inner4, ['-c', '3', '-i', '0.05', '-s', '8000'])).toBe(true);
          expect(await left.ping(right.inner6, ['-c', '3', '-i', '0.05', '-s', '8000'])).toBe(true);
        });
      });
    },
  );
});
