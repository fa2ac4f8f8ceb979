import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { O_RDONLY, POLLERR, POLLIN, VNET_HEADER_LENGTH } from '../../../src/io/linux/constants.ts';
import { ERRNO, must } from '../../../src/io/linux/errno.ts';
import { Link } from '../../../src/io/linux/link.ts';
import { inNamespace, openPath } from '../../../src/io/linux/namespace.ts';
import { NativeBuffer, syscalls } from '../../../src/io/linux/syscalls.ts';
import { Tun, type TunOptions } from '../../../src/io/linux/tun.ts';
import { type Namespace, until } from '../../lab/netns.ts';
import { REAL_INTERFACES, requires } from '../../lab/requirements.ts';
import { useLab } from '../../lab/use-lab.ts';

const ALL = { vnetHeader: true, tcp: true, udp: true };

requires(...REAL_INTERFACES, 'ping')('a TUN device', () => {
  let home: Namespace;
  let away: Namespace;
  let count = 0;
  let name = '';
  const lab = useLab(() => {
    home = lab.namespace('home');
    away = lab.namespace('away');
  });
  beforeEach(() => {
    name = lab.interfaceName(`d${count++}`);
  });

  function within<T>(namespace: Namespace, body: () => T): T {
    const descriptor = must(openPath(namespace.path, O_RDONLY), 'open namespace');
    try {
      return inNamespace(descriptor, body);
    } finally {
      syscalls().close(descriptor);
    }
  }

  function create(options: Partial<TunOptions> = {}): Tun {
    const tun = within(home, () => new Tun({ name, offloads: ALL, ...options }));
    onTestFinished(() => tun.close());
    return tun;
  }

  function follow(tun: Tun): Link {
    const link = within(home, () => new Link(tun));
    onTestFinished(() => link.close());
    return link;
  }

  /** revents of one poll. */
  function poll(fd: number, milliseconds: number): number {
    const entry = new NativeBuffer(8);
    entry.view.setInt32(0, fd, true);
    entry.view.setInt16(4, POLLIN, true);
    syscalls().poll(entry.at(0), 1n, milliseconds);
    return entry.view.getInt16(6, true);
  }

  function read(fd: number): { length: number; bytes: Uint8Array } {
    const buffer = new NativeBuffer(65536 + 16);
    buffer.storeAddress(buffer.view, 0, 16);
    buffer.view.setUint32(8, 65536, true);
    const length = syscalls().readv(fd, buffer.at(0), 1);
    return { length, bytes: buffer.u8.slice(16, 16 + Math.max(length, 0)) };
  }

  function drain(fd: number): void {
    while (read(fd).length > 0);
  }

  test('setting it up and down changes no other flag', () => {
    const link = follow(create());
    const flags = () =>
      /<(.*)>/
        .exec(home.run(['ip', 'link', 'show', name]))![1]!
        .split(',')
        .sort();
    const before = flags();
    expect(before).toEqual(['MULTICAST', 'NOARP', 'POINTOPOINT']);
    link.setUp(true);
    expect(flags()).toEqual(['LOWER_UP', 'MULTICAST', 'NOARP', 'POINTOPOINT', 'UP']);
    link.setUp(false);
    expect(flags()).toEqual(before);
  });

  test('exists while its descriptor is open', () => {
    const tun = create();
    expect(tun.name()).toBe(name);
    expect(tun.offloads).toEqual(ALL);
    expect(home.interfaces()).toContain(name);
    tun.close();
    expect(home.interfaces()).not.toContain(name);
  });

  test('lets the kernel number it', () => {
    const tun = create({ name: 'num%d' });
    expect(tun.name()).toBe('num0');
  });

  test('says that a name is taken, or no name at all', () => {
    create();
    expect(() => create()).toThrow(/^TUNSETIFF: EBUSY: interface .* is in use by another process$/);
    expect(() => create({ name: 'lo' })).toThrow('TUNSETIFF: EINVAL');
    expect(() => create({ name: 'a/b' })).toThrow('not an interface name');
    expect(() => create({ name: 'sixteen-letters-' })).toThrow('not an interface name');
  });

  test('has as many queues as asked for, and is gone when the last one is closed', () => {
    const tun = create({ queues: 3 });
    expect(new Set(tun.fds).size).toBe(3);
    expect(tun.name()).toBe(name);
    expect(tun.offloads).toEqual(ALL);
    tun.close();
    expect(home.interfaces()).not.toContain(name);
    const numbered = create({ name: 'que%d', queues: 2 });
    expect(numbered.fds).toHaveLength(2);
    expect(home.interfaces().filter((other) => other.startsWith('que'))).toEqual([numbered.name()]);
  });

  test('adds no queue to an interface that is in use, and uses the one queue of one that is not', () => {
    create({ queues: 2 });
    expect(() => create({ queues: 2 })).toThrow(/^TUNSETIFF: EBUSY: /);
    expect(() => create()).toThrow('TUNSETIFF: EINVAL');
    expect(() => create({ name: 'lo', queues: 2 })).toThrow('TUNSETIFF: EBUSY');
    const single = lab.interfaceName('o');
    create({ name: single });
    expect(() => create({ name: single, queues: 2 })).toThrow(/^TUNSETIFF: EBUSY: /);
    const made = lab.interfaceName('m');
    home.run(['ip', 'tuntap', 'add', made, 'mode', 'tun', 'vnet_hdr']);
    const tun = create({ name: made, queues: 2 });
    expect(tun.fds).toHaveLength(1);
    tun.close();
    home.run(['ip', 'link', 'del', made]);
  });

  test('takes over a descriptor that somebody else opened', () => {
    const tun = create();
    const adopted = new Tun({ name: '', descriptor: tun.fd, offloads: ALL });
    expect(adopted.name()).toBe(name);
    expect(adopted.offloads).toEqual(ALL);
    expect(() => new Tun({ name: '', descriptor: 0, offloads: ALL })).toThrow('TUNGETIFF');
    expect(() => new Tun({ name: '', descriptor: 9999, offloads: ALL })).toThrow(/EBADF.*not open/);
  });

  test.each<[string, boolean]>([
    ['with', true],
    ['without', false],
  ])('delivers packets %s a virtio-net header', (_how, vnetHeader) => {
    const tun = create({ offloads: { vnetHeader, tcp: vnetHeader, udp: vnetHeader } });
    const link = follow(tun);
    link.refresh();
    home.run(['ip', 'address', 'add', '10.9.0.1/24', 'dev', name]);
    link.setUp(true);
    drain(tun.fd);
    const ping = home.spawn(['ping', '-c1', '-W1', '10.9.0.2']);
    onTestFinished(() => void ping.kill());
    const header = vnetHeader ? VNET_HEADER_LENGTH : 0;
    for (;;) {
      expect(poll(tun.fd, 20_000)).toBe(POLLIN);
      const { bytes } = read(tun.fd);
      if (bytes[header]! >> 4 !== 4) continue; // router solicitations
      expect([...bytes.slice(header + 16, header + 20)]).toEqual([10, 9, 0, 2]);
      expect(bytes.length).toBe(header + 84);
      break;
    }
  });

  test('its MTU and state are set and followed by link events', () => {
    const tun = create();
    const link = follow(tun);
    expect(link.refresh()).toMatchObject({ name, mtu: 1500, up: false });
    link.setMtu(1420);
    link.setUp(true);
    expect(link.refresh()).toMatchObject({ name, mtu: 1420, up: true });
    drain(link.eventFd);
    expect(poll(link.eventFd, 0)).toBe(0);
    home.run(['ip', 'link', 'set', name, 'mtu', '1280']);
    expect(poll(link.eventFd, 20_000)).toBe(POLLIN);
    expect(link.refresh()).toMatchObject({ name, mtu: 1280, up: true });
    home.run(['ip', 'link', 'set', name, 'down']);
    expect(link.refresh()).toMatchObject({ name, mtu: 1280, up: false });
    expect(() => link.setMtu(60)).toThrow(
      /SIOCSIFMTU \S+: EINVAL: the kernel refuses an MTU of 60/,
    );
  });

  test('is followed when it is renamed and moved to another namespace', () => {
    const tun = create();
    const link = follow(tun);
    link.refresh();
    const before = link.eventFd;
    drain(before);
    const renamed = lab.interfaceName('moved');
    home.run(['ip', 'link', 'set', name, 'netns', away.name, 'name', renamed]);
    expect(poll(before, 20_000)).toBe(POLLIN); // the move is an event in the old namespace
    expect(link.refresh()).toMatchObject({ name: renamed, mtu: 1500 });
    expect(link.isElsewhere).toBe(true); // its events are not heard here
    away.run(['ip', 'link', 'set', renamed, 'mtu', '1300', 'up']);
    expect(link.refresh()).toMatchObject({ name: renamed, mtu: 1300, up: true });
    link.setMtu(1400);
    expect(away.ip('link', 'show', renamed)).toMatchObject([{ mtu: 1400 }]);
    // this thread came back: a socket opened now sees its own namespace, not the other one
    const probe = within(home, () => new Tun({ name: renamed, offloads: ALL }));
    probe.close();
  });

  test('is deleted with the namespace that it was moved to: nothing here keeps that alive', async () => {
    const gone = lab.namespace('gone');
    const tun = create();
    const link = follow(tun);
    home.run(['ip', 'link', 'set', name, 'netns', gone.name]);
    expect(link.refresh()).toMatchObject({ name, up: false });
    link.setUp(true);
    expect(link.refresh()).toMatchObject({ name, up: true });
    lab.remove(gone);
    await until(() => tun.name() === undefined, 'the interface to go');
    expect(link.refresh()).toBeUndefined();
  });

  test('its deletion wakes poll, here and in another namespace', () => {
    for (const where of [home, away]) {
      const tun = create();
      const link = follow(tun);
      link.refresh();
      if (where === away) home.run(['ip', 'link', 'set', name, 'netns', away.name]);
      expect(poll(tun.fd, 0)).toBe(0);
      where.run(['ip', 'link', 'del', name]);
      expect(poll(tun.fd, 20_000) & POLLERR).toBe(POLLERR);
      expect(read(tun.fd).length).toBe(-ERRNO.EBADFD);
      expect(tun.name()).toBeUndefined();
      expect(link.refresh()).toBeUndefined();
    }
  });
});
