import { AF_NETLINK, NETLINK_ROUTE, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW } from './constants.ts';
import { type Advice, must } from './errno.ts';
import { callScratch, syscalls } from './syscalls.ts';

/** struct nlmsghdr { u32 length; u16 type; u16 flags; u32 sequence; u32 port } */
const HEADER = { length: 0, type: 4, flags: 6, size: 16 } as const;
/** struct rtattr { u16 length; u16 type }, then its value; padded to 4. */
const ATTRIBUTE = { length: 0, type: 2, size: 4 } as const;
export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_CREATE = 0x400;
const NLMSG_ERROR = 2;

/** Longest answer, and behind it in the scratch memory the iovec of the call. */
const ANSWER_LENGTH = 8192;
const IOVEC = ANSWER_LENGTH;

export interface Attribute {
  readonly type: number;
  readonly value: Uint8Array;
}

export interface RouteMessage {
  /** The fixed part that belongs to the message type (struct ifaddrmsg, ifinfomsg, ...). */
  readonly body: Uint8Array;
  readonly attributes: readonly Attribute[];
}

/** A non-blocking netlink socket that gets the events of `groups` (RTMGRP_*) in the thread's namespace. */
export function openEvents(groups: number): number {
  const calls = syscalls();
  const kind = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const fd = must(calls.socket(AF_NETLINK, kind, NETLINK_ROUTE), 'socket netlink');
  // struct sockaddr_nl { u16 family; u16 pad; u32 pid; u32 groups }
  const address = callScratch();
  address.view.setUint16(0, AF_NETLINK, true);
  address.view.setUint32(8, groups, true);
  try {
    must(calls.bind(fd, address.at(0), 12), 'bind netlink');
  } catch (error) {
    calls.close(fd);
    throw error;
  }
  return fd;
}

/** A value of 4 bytes in host order. */
export function u32Value(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

/**
 * One rtnetlink(7) request in the calling thread's namespace, and its answer (without one: an
 * acknowledgement, whose body is empty). `bodyLength` is that of the answer's fixed part. Throws a
 * SystemCallError named `name` if the kernel refuses.
 */
export function request(
  name: string,
  type: number,
  flags: number,
  message: RouteMessage,
  bodyLength: number,
  advice?: Advice,
): RouteMessage {
  const calls = syscalls();
  const fd = must(calls.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), 'socket');
  try {
    const buffer = callScratch();
    const { view, u8 } = buffer;
    const iovec = buffer.at(IOVEC);
    const length = write(view, u8, type, flags, message);
    buffer.storeAddress(view, IOVEC, 0);
    view.setUint32(IOVEC + 8, length, true);
    must(calls.writev(fd, iovec, 1), name, advice);
    // The answer is there already: the kernel carries a request out while it is written.
    view.setUint32(IOVEC + 8, ANSWER_LENGTH, true);
    must(calls.readv(fd, iovec, 1), name, advice);
    if (view.getUint16(HEADER.type, true) === NLMSG_ERROR) {
      must(view.getInt32(HEADER.size, true), name, advice);
      return { body: new Uint8Array(0), attributes: [] };
    }
    return read(view, u8, bodyLength);
  } finally {
    calls.close(fd);
  }
}

function write(
  view: DataView,
  u8: Uint8Array,
  type: number,
  flags: number,
  { body, attributes }: RouteMessage,
): number {
  u8.set(body, HEADER.size);
  let at = HEADER.size + align(body.length);
  for (const attribute of attributes) {
    const length = ATTRIBUTE.size + attribute.value.length;
    view.setUint16(at + ATTRIBUTE.length, length, true);
    view.setUint16(at + ATTRIBUTE.type, attribute.type, true);
    u8.set(attribute.value, at + ATTRIBUTE.size);
    at += align(length);
  }
  view.setUint32(HEADER.length, at, true);
  view.setUint16(HEADER.type, type, true);
  view.setUint16(HEADER.flags, NLM_F_REQUEST | flags, true);
  return at;
}

function read(view: DataView, u8: Uint8Array, bodyLength: number): RouteMessage {
  const end = Math.min(view.getUint32(HEADER.length, true), ANSWER_LENGTH);
  const attributes: Attribute[] = [];
  let at = HEADER.size + align(bodyLength);
  while (at + ATTRIBUTE.size <= end) {
    const length = view.getUint16(at + ATTRIBUTE.length, true);
    if (length < ATTRIBUTE.size) break;
    const value = u8.slice(at + ATTRIBUTE.size, at + length);
    attributes.push({ type: view.getUint16(at + ATTRIBUTE.type, true), value });
    at += align(length);
  }
  return { body: u8.slice(HEADER.size, HEADER.size + bodyLength), attributes };
}

const align = (length: number): number => (length + 3) & ~3;
