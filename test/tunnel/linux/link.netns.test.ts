import { expect, test } from 'vitest';
import { O_RDONLY } from '../../../src/io/linux/constants.ts';
import { must } from '../../../src/io/linux/errno.ts';
import { inNamespace, openPath } from '../../../src/io/linux/namespace.ts';
import { syscalls } from '../../../src/io/linux/syscalls.ts';
import { Tun } from '../../../src/io/linux/tun.ts';
import { type Namespace, until } from '../../lab/netns.ts';
import { findExecutable, REAL_INTERFACES, requires } from '../../lab/requirements.ts';
import { useLab } from '../../lab/use-lab.ts';
import { expectPing, ping, Site } from './pair.ts';
import { RemoteTunnel } from './remote-tunnel.ts';

requires(...REAL_INTERFACES, 'ping')('the interface of a tunnel', () => {
  let site: Site;
  let away: Namespace;
  const lab = useLab(() => {
    site = new Site(lab);
    away = lab.namespace('away');
  });

  const mtuOf = (tunnel: RemoteTunnel, mtu: number) =>
    until(async () => (await tunnel.state()).mtu === mtu, `MTU ${mtu}`);

  test('may change its MTU', async () => {
    const [a, b] = await site.pair();
    expect(site.left.ip('link', 'show', a.name)).toMatchObject([{ mtu: 1420 }]);
    for (const { namespace, tunnel, name } of [a, b]) {
      namespace.run(['ip', 'link', 'set', name, 'mtu', '1300']);
      await mtuOf(tunnel, 1300);
    }
    await expectPing(site.left, '10.7.0.2', '-s', '1272', '-M', 'do');
    // a padded packet is never longer than the MTU: 16 + 1300 + 16 bytes, not 1304
    const { txBytes } = (await a.tunnel.state()).status.peers[0]!;
    await expectPing(site.left, '10.7.0.2', '-s', '1272', '-M', 'do');
    const sent = (await a.tunnel.state()).status.peers[0]!.txBytes - txBytes;
    expect(sent).toBeGreaterThanOrEqual(3 * (1300 + 32));
    expect((sent - 3 * (1300 + 32)) % 32).toBe(0); // but for keepalives, of 32 bytes
  });

  test('takes no part while it is down', async () => {
    const [a, b] = await site.pair();
    await expectPing(site.left, '10.7.0.2');
    site.right.run(['ip', 'link', 'set', b.name, 'down']);
    await until(async () => !(await b.tunnel.state()).isUp, 'the interface to be down');
    await until(
      async () => (await b.tunnel.state()).status.peers[0]?.generation === undefined,
      'sessions to end',
    );
    expect((await ping(site.left, '10.7.0.2', '-c1', '-W1')).code).not.toBe(0);
    site.right.run(['ip', 'link', 'set', b.name, 'up']);
    await until(async () => (await b.tunnel.state()).isUp, 'the interface to be up');
    await expectPing(site.right, '10.7.0.1');
    expect((await a.tunnel.state()).isUp).toBe(true);
  });

  test('may be moved to another namespace while the UDP socket stays', async () => {
    const [a, b] = await site.pair();
    await expectPing(site.left, '10.7.0.2');
    const renamed = lab.interfaceName('moved');
    site.left.run(['ip', 'link', 'set', a.name, 'netns', away.name, 'name', renamed]);
    away.run(['ip', 'address', 'add', '10.7.0.1/24', 'dev', renamed]);
    away.run(['ip', 'link', 'set', renamed, 'up', 'mtu', '1280']);
    await mtuOf(a.tunnel, 1280);
    await until(async () => (await a.tunnel.state()).isUp, 'the interface to be up');
    expect((await a.tunnel.state()).name).toBe(renamed);
    await expectPing(away, '10.7.0.2');
    await expectPing(site.right, '10.7.0.1');
    away.run(['ip', 'link', 'set', renamed, 'mtu', '1290']);
    await mtuOf(a.tunnel, 1290);
    away.run(['ip', 'link', 'del', renamed]);
    expect(await a.tunnel.closed).toBeUndefined();
    await b.tunnel.close();
  });

  test('ends the tunnel when the namespace is deleted that it was moved to', async () => {
    const gone = lab.namespace('gone');
    const [a] = await site.pair();
    await expectPing(site.left, '10.7.0.2');
    site.left.run(['ip', 'link', 'set', a.name, 'netns', gone.name]);
    gone.run(['ip', 'link', 'set', a.name, 'up', 'mtu', '1290']);
    await mtuOf(a.tunnel, 1290);
    lab.remove(gone);
    expect(await a.tunnel.closed).toBeUndefined();
  });

  test('that was moved where it cannot be followed is looked at from afar, and said so', async () => {
    const setpriv = findExecutable('setpriv');
    if (setpriv === undefined) return;
    const wrapper = [setpriv, '--bounding-set=-sys_admin', '--inh-caps=-sys_admin'];
    const b = await site.open(2);
    const name = lab.interfaceName('blind');
    const a = await RemoteTunnel.open(
      site.left,
      {
        name,
        privateKey: new Uint8Array(32).fill(1),
        up: true,
      },
      wrapper,
    );
    await b.tunnel.configure({ peers: [site.peer(1)] });
    await a.configure({ peers: [site.peer(2, b.port)] });
    site.left.run(['ip', 'link', 'set', name, 'netns', away.name]);
    away.run(['ip', 'address', 'add', '10.7.0.1/24', 'dev', name]);
    away.run(['ip', 'link', 'set', name, 'up']);
    await until(async () => (await a.state()).logs.length > 0, 'a warning');
    expect((await a.state()).logs[0]).toMatch(/cannot be entered.*CAP_SYS_ADMIN/);
    away.run(['ip', 'link', 'set', name, 'mtu', '1337']);
    await mtuOf(a, 1337);
    await expectPing(away, '10.7.0.2');
    away.run(['ip', 'link', 'del', name]);
    expect(await a.closed).toBeUndefined();
    await a.call('disconnect');
    await a.exited;
  });

  test('may have been opened by somebody else', async () => {
    const b = await site.open(2);
    const name = lab.interfaceName('given');
    const here = must(openPath(site.left.path, O_RDONLY), 'open namespace');
    const tun = inNamespace(
      here,
      () => new Tun({ name, offloads: { vnetHeader: true, tcp: true, udp: true } }),
    );
    syscalls().close(here);
    site.left.run(['ip', 'link', 'set', name, 'mtu', '1380', 'up']);
    site.left.run(['ip', 'address', 'add', '10.7.0.1/24', 'dev', name]);
    const a = new RemoteTunnel(site.left, [], tun.fd);
    tun.close();
    await a.call('open', {
      name: 'ignored',
      tunDescriptor: RemoteTunnel.GIVEN_DESCRIPTOR,
      privateKey: new Uint8Array(32).fill(1),
      peers: [],
    });
    expect(await a.state()).toMatchObject({ name, mtu: 1380, isUp: true });
    await b.tunnel.configure({ peers: [site.peer(1)] });
    await a.configure({ peers: [site.peer(2, b.port)] });
    await expectPing(site.left, '10.7.0.2');
    await a.close();
    expect(site.left.interfaces()).not.toContain(name);
  });
});
