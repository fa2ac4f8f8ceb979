import type { Prefix } from '../../wire/prefix.ts';
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  IFNAMSIZ,
  NETLINK_ROUTE,
  SIOCGIFINDEX,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_RAW,
} from './constants.ts';
import { must } from './errno.ts';
import { callScratch, type NativeBuffer, syscalls } from './syscalls.ts';

/** struct nlmsghdr { u32 length; u16 type; u16 flags; u32 sequence; u32 port } */
const HEADER_LENGTH = 16;
/** struct ifaddrmsg { u8 family; u8 prefix length; u8 flags; u8 scope; u32 index } */
const ADDRESS_LENGTH = 8;
/** struct rtattr { u16 length; u16 type } */
const ATTRIBUTE_LENGTH = 4;
const RTM_NEWADDR = 20;
/** Room for an answer, and behind it for the iovec of the call. */
const ANSWER_LENGTH = 4096;
const IOVEC = ANSWER_LENGTH;
const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
const NLM_F_REPLACE = 0x100;
const NLM_F_CREATE = 0x400;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;

/**
 * Gives an address with its prefix length to an interface in the calling thread's namespace
 * (rtnetlink(7), RTM_NEWADDR). One that is there already is no error.
 */
export function addAddress(interfaceName: string, { address, length }: Prefix): void {
  const calls = syscalls();
  const attribute = ATTRIBUTE_LENGTH + address.length;
  const total = HEADER_LENGTH + ADDRESS_LENGTH + 2 * attribute;
  const index = interfaceIndex(interfaceName);
  const message = callScratch();
  const { view, u8 } = message;
  view.setUint32(0, total, true);
  view.setUint16(4, RTM_NEWADDR, true);
  view.setUint16(6, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, true);
  u8[HEADER_LENGTH] = address.length === 4 ? AF_INET : AF_INET6;
  u8[HEADER_LENGTH + 1] = length;
  view.setUint32(HEADER_LENGTH + 4, index, true);
  let at = HEADER_LENGTH + ADDRESS_LENGTH;
  for (const type of [IFA_LOCAL, IFA_ADDRESS]) {
    view.setUint16(at, attribute, true);
    view.setUint16(at + 2, type, true);
    u8.set(address, at + ATTRIBUTE_LENGTH);
    at += attribute;
  }
  const fd = must(
    calls.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE),
    'socket netlink',
  );
  try {
    must(transfer(calls.writev, fd, message, total), 'RTM_NEWADDR');
    // The acknowledgement is there already: the kernel carries a request out while it is written.
    must(transfer(calls.readv, fd, message, ANSWER_LENGTH), 'RTM_NEWADDR');
    must(view.getInt32(HEADER_LENGTH, true), 'RTM_NEWADDR', {
      EPERM: 'needs CAP_NET_ADMIN',
      EACCES: 'IPv6 is switched off on this interface',
      EOPNOTSUPP: 'this system has no such address family',
    });
  } finally {
    calls.close(fd);
  }
}

function interfaceIndex(name: string): number {
  const calls = syscalls();
  const request = callScratch();
  new TextEncoder().encodeInto(name, request.u8);
  const fd = must(calls.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'socket');
  try {
    must(calls.ioctl(fd, SIOCGIFINDEX, request.at(0)), 'SIOCGIFINDEX');
    return request.view.getInt32(IFNAMSIZ, true);
  } finally {
    calls.close(fd);
  }
}

function transfer(
  call: (fd: number, iovec: bigint, count: number) => number,
  fd: number,
  buffer: NativeBuffer,
  length: number,
): number {
  buffer.storeAddress(buffer.view, IOVEC, 0);
  buffer.view.setUint32(IOVEC + 8, length, true);
  return call(fd, buffer.at(IOVEC), 1);
}
