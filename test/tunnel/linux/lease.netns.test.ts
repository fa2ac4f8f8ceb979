import { expect, test } from 'vitest';
import { REAL_INTERFACES, requires } from '../../lab/requirements.ts';
import { useLab } from '../../lab/use-lab.ts';
import { expectPing, ping, Site } from './pair.ts';

requires(...REAL_INTERFACES, 'ping')('a lease', () => {
  let site: Site;
  const lab = useLab(() => {
    site = new Site(lab);
  });

  test('ends the traffic although the thread that would end it stands still', async () => {
    const [a, b] = await site.pair();
    await expectPing(site.left, '10.7.0.2');
    await a.tunnel.call('extendLease', 8);
    await expectPing(site.right, '10.7.0.1');
    const BLOCKED = 30_000;
    const blockedAt = performance.now();
    await a.tunnel.call('block', BLOCKED);
    // Data threads need nobody: packets still pass ...
    await expectPing(site.right, '10.7.0.1');
    // ... until the lease is over, when they stop by themselves, long before anybody could tell them.
    const answered = async () => (await ping(site.right, '10.7.0.1', '-c1', '-W1')).code === 0;
    while (await answered()) expect(performance.now() - blockedAt).toBeLessThan(BLOCKED / 2);
    expect(await answered()).toBe(false);
    expect(performance.now() - blockedAt).toBeLessThan(BLOCKED);
    await expect
      .poll(async () => (await a.tunnel.state()).status.peers[0]?.generation, { timeout: 40_000 })
      .toBeUndefined();
    // The peer is still configured; a new lease brings the session back.
    expect((await ping(site.right, '10.7.0.1', '-c1', '-W1')).code).not.toBe(0);
    await a.tunnel.call('extendLease', 60);
    await expectPing(site.left, '10.7.0.2');
    await b.tunnel.close();
  });

  test('that is extended in time is not noticed, and an idle thread lets go as well', async () => {
    const [a] = await site.pair();
    await expectPing(site.left, '10.7.0.2');
    await a.tunnel.call('extendLease', 1);
    await a.tunnel.call('extendLease', 60);
    const { handshakes } = await a.tunnel.state();
    await expectPing(site.right, '10.7.0.1', '-c30', '-i0.1');
    expect((await a.tunnel.state()).handshakes).toEqual(handshakes);
    await a.tunnel.call('extendLease', 0);
    // No packet wakes the threads: they look by themselves.
    await expect
      .poll(async () => (await a.tunnel.state()).status.peers[0]?.generation, { timeout: 5000 })
      .toBeUndefined();
  });
});
