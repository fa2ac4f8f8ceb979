import { expect, test } from 'vitest';
import type { ImpairmentOptions, RelayCounts } from '../lab/relay.ts';
import { forEveryPair } from './matrix.ts';
import { sendUdp, transferTcp } from './traffic.ts';

const RELAY_PORT = 5300;
const IMPAIRMENT: ImpairmentOptions = {
  seed: 20_260_601,
  loss: 0.05,
  duplicate: 0.05,
  reorder: 0.1,
  hold: 3,
};

forEveryPair('a link that loses 5 %, duplicates 5 % and reorders 10 %', (withPair) => {
  test('TCP completes unchanged both ways, and nothing is delivered twice', async () => {
    await withPair({ unconfigured: true }, async (pair) => {
      const { left, right } = pair;
      const relay = await left.tool(
        'relay',
        '127.0.0.1',
        RELAY_PORT,
        right.outer4,
        right.port,
        JSON.stringify(IMPAIRMENT),
      );
      const through = pair.peerSection(left, `Endpoint = 127.0.0.1:${RELAY_PORT}`);
      left.configure('setconf', left.interfaceSection() + through);
      const withoutEndpoint = pair.peerSection(right).replace(/^Endpoint.*$/m, '');
      right.configure('setconf', right.interfaceSection() + withoutEndpoint);
      await pair.connect();

      const there = await transferTcp(left, right, 10e6);
      const back = await transferTcp(right, left, 10e6, 6);
      for (const [from, to] of [
        [left, right],
        [right, left],
      ] as const) {
        const { received, distinct } = await sendUdp(from, to, 2000);
        expect(received).toBe(distinct);
        expect(received).toBeGreaterThan(2000 * 0.92);
        expect(received).toBeLessThan(2000 * 0.98);
      }
      relay.finish();
      const counts = await relay.result<RelayCounts>();
      expect(counts.duplicated).toBeGreaterThan(100);
      console.log(`TCP ${there.toFixed(1)} and ${back.toFixed(1)} Mbit/s`, counts);
    });
  });
});
