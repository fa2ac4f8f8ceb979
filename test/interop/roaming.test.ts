import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { until } from '../support/netns.ts';
import { forEveryPair } from './matrix.ts';
import type { End, Pair } from './pair.ts';
import { reaches } from './traffic.ts';

/** Moves an end to another address and port; what it had is gone. */
function move(end: End, address: string, port: number): void {
  const { namespace, link } = end;
  namespace.run(['sysctl', '-qw', 'net.ipv4.conf.all.promote_secondaries=1']);
  namespace.run(['ip', 'address', 'add', `${address}/24`, 'dev', link]);
  namespace.run(['ip', 'address', 'del', `${end.outer4}/24`, 'dev', link]);
  end.set(['listen-port', String(port)]);
}

/**
 * Puts a router between the ends that hides the left one behind its own address, and forgets a
 * mapping after three seconds of silence.
 */
function hideLeft(pair: Pair): { outside: string; target: string } {
  const { lab, left, right } = pair;
  const router = lab.namespace('n');
  const [, inside] = lab.veth(left.namespace, router, {
    left: ['10.1.0.1/24'],
    right: ['10.1.0.254/24'],
  });
  const [outside] = lab.veth(router, right.namespace, {
    left: ['10.2.0.254/24'],
    right: ['10.2.0.2/24'],
  });
  left.namespace.run(['ip', 'route', 'add', '10.2.0.0/24', 'via', '10.1.0.254']);
  const nft = `
    table ip nat {
      chain postrouting { type nat hook postrouting priority 100; oifname ${outside} masquerade; }
      chain input { type filter hook input priority 0; iifname ${outside} meta l4proto udp drop; }
      chain forward {
        type filter hook forward priority 0; policy drop;
        iifname ${inside} accept
        ct state established accept
      }
    }`;
  router.run(['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  router.run(['nft', nft]);
  for (const kind of ['udp_timeout', 'udp_timeout_stream']) {
    router.run(['sysctl', '-qw', `net.netfilter.nf_conntrack_${kind}=3`]);
  }
  return { outside: '10.2.0.254', target: `10.2.0.2:${right.port}` };
}

forEveryPair(
  'roaming',
  (withPair) => {
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
        await until(() => left.ping(right.inner4), 'an answer over link-local addresses');
        const seen = right.show('endpoints', left.keys.publicKey);
        expect(seen).toMatch(new RegExp(`^\\[fe80::[0-9a-f:]+%${right.link}\\]:${left.port}$`));
        expect(await right.ping(left.inner6)).toBe(true);
      });
    });

    test('a persistent keepalive keeps a way in through a NAT', async () => {
      await withPair({ unconfigured: true }, async (pair) => {
        const { left, right } = pair;
        const { outside, target } = hideLeft(pair);
        const peer = pair.peerSection(left, `Endpoint = ${target}`, 'PersistentKeepalive = 1');
        left.configure('setconf', left.interfaceSection() + peer);
        const withoutEndpoint = pair.peerSection(right).replace(/^Endpoint.*$/m, '');
        right.configure('setconf', right.interfaceSection() + withoutEndpoint);
        await until(() => right.latestHandshake(left.keys.publicKey) > 0, 'the handshake', 15_000);
        expect(right.show('endpoints', left.keys.publicKey)).toMatch(`${outside}:`);
        await sleep(8000);
        expect(await right.ping(left.inner4)).toBe(true);
        // Without it the mapping is gone, and only the hidden end can come back.
        left.set(['peer', right.keys.publicKey, 'persistent-keepalive', 'off']);
        await sleep(14_000); // the last passive keepalive is sent within ten seconds
        expect(await right.ping(left.inner4, ['-c', '1', '-W', '1'])).toBe(false);
        expect(await left.ping(right.inner4)).toBe(true);
        expect(await right.ping(left.inner4)).toBe(true);
      });
    });
  },
  ['nft'],
);
