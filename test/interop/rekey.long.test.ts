import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { forEveryPair } from './matrix.ts';
import { type End, generatePsk } from './pair.ts';
import { sendUdp } from './traffic.ts';

/** A little more than a datagram per ms: past REKEY_AFTER_TIME (120 s) and what follows it. */
const DATAGRAMS = 125_000;

/** Pings ten times a second for `seconds`; resolves with ping's own summary. */
async function pingFor(from: End, to: End, seconds: number): Promise<string> {
  const options = ['-n', '-q', '-i', '0.1', '-c', String(seconds * 10), '-W', '5'];
  const result = await from.namespace.exec(['ping', ...options, to.inner6], {
    timeout: (seconds + 60) * 1000,
  });
  return result.stdout;
}

forEveryPair('a rekey in real time', (withPair, [from, to]) => {
  test('loses nothing under traffic, and takes the pre-shared key that was changed meanwhile', async () => {
    await withPair({ presharedKey: generatePsk() }, async (pair) => {
      const { left, right } = pair;
      await pair.connect();
      const before = [
        left.latestHandshake(right.keys.publicKey),
        right.latestHandshake(left.keys.publicKey),
      ];
      const traffic = Promise.all([
        sendUdp(left, right, DATAGRAMS),
        sendUdp(right, left, DATAGRAMS),
        pingFor(left, right, 135),
        pingFor(right, left, 135),
      ]);
      await sleep(20_000);
      const psk = generatePsk();
      left.set(['peer', right.keys.publicKey, 'preshared-key', '/dev/stdin'], psk);
      right.set(['peer', left.keys.publicKey, 'preshared-key', '/dev/stdin'], psk);
      const [there, back, ...pings] = await traffic;
      console.log(`${from.name} to ${to.name}:`, there, back);
      for (const summary of pings) expect(summary).toContain(' 0% packet loss');
      const all = { received: DATAGRAMS, distinct: DATAGRAMS };
      expect([there, back]).toEqual([all, all]);
      expect(left.latestHandshake(right.keys.publicKey)).toBeGreaterThan(before[0]! + 100);
      expect(right.latestHandshake(left.keys.publicKey)).toBeGreaterThan(before[1]! + 100);
    });
  });
});
