import { expect, test } from 'vitest';
import { until } from '../lab/netns.ts';
import { forEveryPair } from './matrix.ts';
import type { End } from './pair.ts';

/** Initiations a second that fill either one's queue of handshakes. */
const RATE = 40_000;
const ATTACKER = '192.168.77.66';

/** Counts what a filter catches on the link of an end. */
async function capture(end: End, filter: string): Promise<() => number> {
  const command = `tcpdump -n -l --immediate-mode -i ${end.link}`.split(' ');
  const child = end.namespace.spawn([...command, filter]);
  let lines = 0;
  child.stdout?.on('data', (data) => {
    lines += String(data).split('\n').length - 1;
  });
  await new Promise((resolve) => child.stderr?.once('data', resolve));
  return () => lines;
}

/** `victim` is flooded; `caller` starts a handshake with it and gets through by a cookie. */
async function underLoad(caller: End, victim: End): Promise<void> {
  const { namespace, link, outer4 } = caller;
  namespace.run(['ip', 'address', 'add', `${ATTACKER}/24`, 'dev', link]);
  const cookies = await capture(caller, `udp[8] == 3 and dst host ${outer4}`);
  const repelled = await capture(caller, `udp[8] == 3 and dst host ${ATTACKER}`);
  const proofs = await capture(
    caller,
    // An initiation whose mac2 (paper section 5.4.4) is not zero.
    `udp[8] == 1 and src host ${outer4} and (udp[140:4] != 0 or udp[144:4] != 0)`,
  );
  const flood = await caller.tool(
    'flood',
    ATTACKER,
    victim.outer4,
    victim.port,
    victim.keys.publicKey,
    RATE,
  );
  await until(async () => repelled() > 0, 'that the flood is too much', 20_000);
  await until(
    async () => {
      await caller.ping(victim.inner4, ['-c', '1', '-W', '1']);
      return caller.latestHandshake(victim.keys.publicKey) > 0;
    },
    'a handshake in spite of the flood',
    40_000,
  );
  expect(await caller.ping(victim.inner4, ['-c', '3', '-i', '0.2', '-W', '10'])).toBe(true);
  flood.finish();
  const { sent } = await flood.result<{ sent: number }>();
  console.log(`${sent} initiations at ${victim.implementation.name}, cookies: ${cookies()}`);
  expect(cookies()).toBeGreaterThan(0);
  expect(proofs()).toBeGreaterThan(0);
}

forEveryPair(
  'under load',
  (withPair) => {
    test('a peer gets through by a cookie while its other end is flooded', async () => {
      await withPair({}, ({ left, right }) => underLoad(left, right));
    });
  },
  ['tcpdump'],
);
