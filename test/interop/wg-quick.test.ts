import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { until } from '../lab/netns.ts';
import { socketOf } from './implementations.ts';
import { forEveryPair } from './matrix.ts';
import type { End, Pair } from './pair.ts';
import { transferTcp } from './traffic.ts';

const folder = mkdtempSync(join(tmpdir(), 'wg-quick-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Everything that wg-quick may have changed in a namespace. */
function systemState({ namespace }: End): string {
  return [
    namespace.run(['ip', '-br', 'link']),
    namespace.run(['ip', 'rule']),
    namespace.run(['ip', '-6', 'rule']),
    namespace.run(['ip', 'route', 'show', 'table', 'all']),
    namespace.run(['nft', 'list', 'ruleset']),
  ].join('');
}

/** An ordinary configuration file for `end`, with wg-quick's own keys in it. */
function writeConfiguration(pair: Pair, end: End, allowedIps: string): string {
  const file = join(folder, `${end.name}.conf`);
  const addresses = `Address = ${end.inner4}/24, ${end.inner6}/64\nMTU = 1400\n`;
  const peer = pair.peerSection(end).replace(/^AllowedIPs.*$/m, `AllowedIPs = ${allowedIps}`);
  writeFileSync(file, end.interfaceSection() + addresses + peer, { mode: 0o600 });
  return file;
}

forEveryPair(
  'wg-quick',
  (withPair, [implementation]) => {
    test.each([
      { what: 'the other end only', all: false },
      { what: 'everything', all: true },
    ])('brings a tunnel for $what up and takes it down, leaving nothing', async ({ all }) => {
      await withPair({}, async (pair) => {
        const { left, right } = pair;
        await left.stop(); // wg-quick starts it
        // The link's own address appears in a route when it was found to be no duplicate.
        const tentative = ['ip', '-6', 'address', 'show', 'tentative'];
        await until(() => left.namespace.run(tentative) === '', 'its addresses to be usable');
        const before = systemState(left);
        const allowed = all ? '0.0.0.0/0, ::/0' : `${right.inner4}/32, ${right.inner6}/128`;
        const file = writeConfiguration(pair, left, allowed);
        const env = { WG_QUICK_USERSPACE_IMPLEMENTATION: implementation.command() };
        const up = await left.namespace.exec(['wg-quick', 'up', file], { env });
        expect(up, up.stderr).toMatchObject({ code: 0 });
        await pair.connect();
        expect(await left.ping(right.inner6)).toBe(true);
        await transferTcp(left, right, 5e6);
        if (all) {
          // What is not in the tunnel's own network goes through it too.
          right.namespace.run(['ip', 'address', 'add', '203.0.113.1/32', 'dev', 'lo']);
          expect(await left.ping('203.0.113.1')).toBe(true);
          expect(left.wg('show', left.name, 'fwmark').trim()).not.toBe('off');
        }
        const second = await left.namespace.exec(['wg-quick', 'up', file], { env });
        expect(second.code).not.toBe(0);
        const down = await left.namespace.exec(['wg-quick', 'down', file], { env });
        expect(down, down.stderr).toMatchObject({ code: 0 });
        await until(() => !existsSync(socketOf(left.name)), 'the end of its daemon');
        expect(systemState(left)).toBe(before);
      });
    });
  },
  ['wg-quick', 'nft'],
);
