import type { DeviceState } from '../ports.ts';
import {
  AF_INET,
  IFF_UP,
  IFNAMSIZ,
  SIOCGIFFLAGS,
  SIOCGIFINDEX,
  SIOCGIFMTU,
  SIOCSIFFLAGS,
  SIOCSIFMTU,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
} from './constants.ts';
import { type Advice, must } from './errno.ts';
import { callScratch, syscalls } from './syscalls.ts';

/**
 * A network interface of the calling thread's namespace, by its name (netdevice(7)). All of these
 * throw a SystemCallError; ENODEV if there is no such interface. No descriptor stays open: one would
 * keep the namespace alive.
 */

export function interfaceIndex(name: string): number {
  return interfaceRequest(name, (ask, ifreq) => {
    ask(SIOCGIFINDEX, 'SIOCGIFINDEX');
    return ifreq.getInt32(IFNAMSIZ, true);
  });
}

export function interfaceState(name: string): DeviceState {
  return interfaceRequest(name, (ask, ifreq) => {
    ask(SIOCGIFMTU, 'SIOCGIFMTU');
    const mtu = ifreq.getInt32(IFNAMSIZ, true);
    ask(SIOCGIFFLAGS, 'SIOCGIFFLAGS');
    const up = (ifreq.getUint16(IFNAMSIZ, true) & IFF_UP) !== 0;
    ask(SIOCGIFINDEX, 'SIOCGIFINDEX');
    return { name, mtu, up, index: ifreq.getInt32(IFNAMSIZ, true) };
  });
}

/** Sets the MTU (bytes of an IP packet). */
export function setInterfaceMtu(name: string, mtu: number): void {
  interfaceRequest(name, (ask, ifreq) => {
    ifreq.setInt32(IFNAMSIZ, mtu, true);
    ask(SIOCSIFMTU, 'SIOCSIFMTU', { EINVAL: `the kernel refuses an MTU of ${mtu}` });
  });
}

/**
 * Sets it up or down. All flags are set at once, so they are read first: NOARP and MULTICAST, which
 * the interface was made with, stay.
 */
export function setInterfaceUp(name: string, up = true): void {
  interfaceRequest(name, (ask, ifreq) => {
    ask(SIOCGIFFLAGS, 'SIOCGIFFLAGS');
    const before = ifreq.getUint16(IFNAMSIZ, true);
    ifreq.setUint16(IFNAMSIZ, up ? before | IFF_UP : before & ~IFF_UP, true);
    ask(SIOCSIFFLAGS, 'SIOCSIFFLAGS');
  });
}

type Ask = (request: number, call: string, advice?: Advice) => void;

/** `body` fills and reads a struct ifreq that names the interface, and asks with it. */
function interfaceRequest<T>(name: string, body: (ask: Ask, ifreq: DataView) => T): T {
  const calls = syscalls();
  const fd = must(calls.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'socket');
  try {
    const ifreq = callScratch();
    new TextEncoder().encodeInto(name, ifreq.u8);
    const ask: Ask = (request, call, advice) => {
      must(calls.ioctl(fd, request, ifreq.at(0)), `${call} ${name}`, {
        ENODEV: 'there is no such interface here',
        EPERM: 'needs CAP_NET_ADMIN',
        ...advice,
      });
    };
    return body(ask, ifreq.view);
  } finally {
    calls.close(fd);
  }
}
