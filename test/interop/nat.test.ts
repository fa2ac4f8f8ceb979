import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { until } from '../lab/netns.ts';
import { requires } from '../lab/requirements.ts';
import { INTEROP_NEEDS, PAIRS } from './implementations.ts';
import { Pair } from './pair.ts';

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

const pairs = PAIRS.map(([left, right]) => ({
  name: `${left.name} to ${right.name}`,
  ends: [left, right] as const,
}));

requires(...INTEROP_NEEDS, 'nft')('a persistent keepalive keeps a way in through a NAT', () => {
  // They wait for timers most of the time, each in namespaces of its own.
  test.concurrent.each(pairs)('$name', async ({ ends }) => {
    await Pair.with(ends, { unconfigured: true }, async (pair) => {
      const { left, right } = pair;
      const { outside, target } = hideLeft(pair);
      // First who is called: an initiation to who knows no peer yet is lost, and the next comes 5 s later.
      const withoutEndpoint = pair.peerSection(right).replace(/^Endpoint.*$/m, '');
      right.configure('setconf', right.interfaceSection() + withoutEndpoint);
      const peer = pair.peerSection(left, `Endpoint = ${target}`, 'PersistentKeepalive = 1');
      left.configure('setconf', left.interfaceSection() + peer);
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
});
