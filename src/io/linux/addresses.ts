import type { Prefix } from '../../wire/prefix.ts';
import {
  AF_INET,
  AF_INET6,
  IFF_UP,
  IFNAMSIZ,
  SIOCGIFFLAGS,
  SIOCGIFINDEX,
  SIOCSIFFLAGS,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
} from './constants.ts';
import { must } from './errno.ts';
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, request } from './rtnetlink.ts';
import { callScratch, syscalls } from './syscalls.ts';

const RTM_NEWADDR = 20;
/** struct ifaddrmsg { u8 family; u8 prefix length; u8 flags; u8 scope; u32 index } */
const IFADDRMSG = { family: 0, prefixLength: 1, index: 4, length: 8 } as const;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;

/**
 * Gives an address with its prefix length to an interface in the calling thread's namespace.
 * One that is there already is no error.
 */
export function addAddress(interfaceName: string, { address, length }: Prefix): void {
  const body = new Uint8Array(IFADDRMSG.length);
  body[IFADDRMSG.family] = address.length === 4 ? AF_INET : AF_INET6;
  body[IFADDRMSG.prefixLength] = length;
  new DataView(body.buffer).setUint32(IFADDRMSG.index, interfaceIndex(interfaceName), true);
  const attributes = [IFA_LOCAL, IFA_ADDRESS].map((type) => ({ type, value: address }));
  const flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
  request('RTM_NEWADDR', RTM_NEWADDR, flags, { body, attributes }, 0, {
    EPERM: 'needs CAP_NET_ADMIN',
    EACCES: 'IPv6 is switched off on this interface',
    EOPNOTSUPP: 'this system has no such address family',
  });
}

/** Sets an interface of the calling thread's namespace up; its other flags stay as they are. */
export function setInterfaceUp(name: string): void {
  interfaceRequest(name, (ask, ifreq) => {
    ask(SIOCGIFFLAGS, 'SIOCGIFFLAGS');
    ifreq.setUint16(IFNAMSIZ, ifreq.getUint16(IFNAMSIZ, true) | IFF_UP, true);
    ask(SIOCSIFFLAGS, 'SIOCSIFFLAGS');
  });
}

function interfaceIndex(name: string): number {
  return interfaceRequest(name, (ask, ifreq) => {
    ask(SIOCGIFINDEX, 'SIOCGIFINDEX');
    return ifreq.getInt32(IFNAMSIZ, true);
  });
}

/** `body` fills and reads a struct ifreq that names the interface, and asks with it. */
function interfaceRequest<T>(
  name: string,
  body: (ask: (request: number, call: string) => void, ifreq: DataView) => T,
): T {
  const calls = syscalls();
  const fd = must(calls.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'socket');
  try {
    const ifreq = callScratch();
    new TextEncoder().encodeInto(name, ifreq.u8);
    const ask = (request: number, call: string): void => {
      must(calls.ioctl(fd, request, ifreq.at(0)), `${call} ${name}`, {
        ENODEV: 'there is no such interface here',
        EPERM: 'needs CAP_NET_ADMIN',
      });
    };
    return body(ask, ifreq.view);
  } finally {
    calls.close(fd);
  }
}
