import { ENDPOINT } from '../../wire/endpoint.ts';
import {
  AF_INET,
  AF_INET6,
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_PKTINFO,
  MSG_TRUNC,
  SOL_UDP,
  UDP_GRO,
  UDP_SEGMENT,
} from './constants.ts';
import { ERRNO } from './errno.ts';
import { type NativeBuffer, type Syscalls, syscalls } from './syscalls.ts';

/**
 * Datagrams between the packet memory and a UDP socket, together with the endpoint of the other
 * side. The structures the kernel wants (struct msghdr, iovec, sockaddr, cmsghdr of a 64-bit
 * Linux) stand in an area of the packet memory and are filled in once; per call only what differs
 * is written. Nothing is allocated and nothing throws: results are bytes or a negative errno.
 */

/** struct msghdr */
const MSG = {
  name: 0,
  nameLength: 8,
  iov: 16,
  iovLength: 24,
  control: 32,
  controlLength: 40,
  flags: 48,
  length: 56,
} as const;

/** struct cmsghdr: u64 length (header included), i32 level, i32 type, data; padded to 8. */
const CMSG = { length: 0, level: 8, type: 12, data: 16 } as const;

/** struct in6_pktinfo { u8 address[16]; i32 interface } */
const PKTINFO6 = { address: 0, interface: 16, length: 20, space: 40 } as const;
/** struct in_pktinfo { i32 interface; u32 specific destination; u32 destination } */
const PKTINFO4 = { interface: 0, source: 4, destination: 8, length: 12, space: 32 } as const;
const SEGMENT_SPACE = 24;

/** struct sockaddr_in6; sockaddr_in has its 4 address bytes at 4. */
const SOCKADDR = {
  port: 2,
  address4: 4,
  address6: 8,
  scope: 24,
  length4: 16,
  length6: 28,
} as const;

/** Where the structures stand within the area (bytes). */
const AREA = { message: 0, iovec: 64, name: 96, endpoint: 128, control: 192, controlLength: 128 };
/** Bytes of packet memory that a sender or a receiver needs for itself, 8-byte aligned. */
export const DATAGRAM_AREA_LENGTH = 320;

/** The first 12 bytes of an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2). */
const MAPPED_PREFIX_AT = 10;

function writeMapped(view: DataView, to: number, from: number): void {
  view.setUint32(to, 0, true);
  view.setUint32(to + 4, 0, true);
  view.setUint32(to + 8, 0xffff0000, true);
  view.setUint32(to + 12, view.getUint32(from, true), true);
}

function isMapped(view: DataView, at: number): boolean {
  return (
    view.getUint32(at, true) === 0 &&
    view.getUint32(at + 4, true) === 0 &&
    view.getUint16(at + MAPPED_PREFIX_AT - 2, true) === 0 &&
    view.getUint16(at + MAPPED_PREFIX_AT, true) === 0xffff
  );
}

function copy16(view: DataView, to: number, from: number): void {
  for (let i = 0; i < 16; i += 4) view.setUint32(to + i, view.getUint32(from + i, true), true);
}

/** A msghdr with one iovec, a name and room for control messages, all in `area`. Its address. */
function emptyMessage(memory: NativeBuffer, area: number): bigint {
  memory.u8.fill(0, area, area + DATAGRAM_AREA_LENGTH);
  const { view } = memory;
  memory.storeAddress(view, area + AREA.message + MSG.name, area + AREA.name);
  memory.storeAddress(view, area + AREA.message + MSG.iov, area + AREA.iovec);
  memory.storeAddress(view, area + AREA.message + MSG.control, area + AREA.control);
  view.setUint32(area + AREA.message + MSG.iovLength, 1, true);
  return memory.at(area + AREA.message);
}

export class DatagramSender {
  /** Fits one ENDPOINT; callers put the destination here (or anywhere else in the memory). */
  readonly endpoint: number;
  private readonly fd: number;
  private readonly family: number;
  private readonly memory: NativeBuffer;
  private readonly view: DataView;
  private readonly area: number;
  private readonly message: bigint;
  private readonly calls: Syscalls;

  /** `area`: offset of DATAGRAM_AREA_LENGTH bytes of `memory` for this sender alone. */
  constructor(fd: number, family: number, memory: NativeBuffer, area: number) {
    this.fd = fd;
    this.family = family;
    this.memory = memory;
    this.view = memory.view;
    this.area = area;
    this.calls = syscalls();
    this.endpoint = area + AREA.endpoint;
    this.message = emptyMessage(memory, area);
    memory.view.setUint16(area + AREA.name, family, true);
  }

  /**
   * Sends `length` bytes at `offset` to the ENDPOINT at `endpoint`, cut into datagrams of
   * `segmentSize` bytes by the kernel if longer (UDP_SEGMENT). Leaves from the endpoint's source
   * address if `sticky` and it has one. Returns bytes sent or a negative errno.
   */
  send(
    endpoint: number,
    offset: number,
    length: number,
    segmentSize: number,
    sticky: boolean,
  ): number {
    const { view, area } = this;
    const message = area + AREA.message;
    const name = area + AREA.name;
    const isV4 = view.getUint16(endpoint + ENDPOINT.family, true) === 4;
    view.setUint16(name + SOCKADDR.port, view.getUint16(endpoint + ENDPOINT.port, true), false);
    if (this.family === AF_INET6) {
      if (isV4) writeMapped(view, name + SOCKADDR.address6, endpoint + ENDPOINT.address);
      else copy16(view, name + SOCKADDR.address6, endpoint + ENDPOINT.address);
      view.setUint32(name + SOCKADDR.scope, view.getUint32(endpoint + ENDPOINT.scope, true), true);
      view.setUint32(message + MSG.nameLength, SOCKADDR.length6, true);
    } else {
      if (!isV4) return -ERRNO.EAFNOSUPPORT;
      const address = view.getUint32(endpoint + ENDPOINT.address, true);
      view.setUint32(name + SOCKADDR.address4, address, true);
      view.setUint32(message + MSG.nameLength, SOCKADDR.length4, true);
    }

    let control = 0;
    if (sticky && view.getUint16(endpoint + ENDPOINT.hasSource, true) !== 0) {
      control = this.writeSource(endpoint, isV4);
    }
    if (length > segmentSize) {
      const at = area + AREA.control + control;
      view.setUint32(at + CMSG.length, CMSG.data + 2, true);
      view.setUint32(at + CMSG.length + 4, 0, true);
      view.setInt32(at + CMSG.level, SOL_UDP, true);
      view.setInt32(at + CMSG.type, UDP_SEGMENT, true);
      view.setUint16(at + CMSG.data, segmentSize, true);
      control += SEGMENT_SPACE;
    }
    view.setUint32(message + MSG.controlLength, control, true);
    this.memory.storeAddress(view, area + AREA.iovec, offset);
    view.setUint32(area + AREA.iovec + 8, length, true);
    return this.calls.sendmsg(this.fd, this.message, 0);
  }

  /** Sticky source: a pktinfo control message. Returns its space in bytes. */
  private writeSource(endpoint: number, isV4: boolean): number {
    const { view } = this;
    const at = this.area + AREA.control;
    const data = at + CMSG.data;
    const source = endpoint + ENDPOINT.source;
    view.setUint32(at + CMSG.length + 4, 0, true);
    // Interface 0: the route decides where it leaves, so that a moved default route is followed.
    if (this.family === AF_INET6) {
      view.setUint32(at + CMSG.length, CMSG.data + PKTINFO6.length, true);
      view.setInt32(at + CMSG.level, IPPROTO_IPV6, true);
      view.setInt32(at + CMSG.type, IPV6_PKTINFO, true);
      if (isV4) writeMapped(view, data + PKTINFO6.address, source);
      else copy16(view, data + PKTINFO6.address, source);
      view.setInt32(data + PKTINFO6.interface, 0, true);
      return PKTINFO6.space;
    }
    view.setUint32(at + CMSG.length, CMSG.data + PKTINFO4.length, true);
    view.setInt32(at + CMSG.level, IPPROTO_IP, true);
    view.setInt32(at + CMSG.type, IP_PKTINFO, true);
    view.setInt32(data + PKTINFO4.interface, 0, true);
    view.setUint32(data + PKTINFO4.source, view.getUint32(source, true), true);
    view.setUint32(data + PKTINFO4.destination, 0, true);
    return PKTINFO4.space;
  }
}

export class DatagramReceiver {
  /** ENDPOINT form of the sender of what was received last, with the local address as source. */
  readonly endpoint: number;
  /** Size of the datagrams received last; the last one may be shorter. */
  segmentSize = 0;
  /** The datagram received last did not fit and is to be dropped. */
  truncated = false;
  private readonly fd: number;
  private readonly family: number;
  private readonly view: DataView;
  private readonly area: number;
  private readonly message: bigint;
  private readonly calls: Syscalls;

  /** Receives into `length` bytes at `offset`; `area`: as for {@link DatagramSender}. */
  constructor(
    fd: number,
    family: number,
    memory: NativeBuffer,
    area: number,
    offset: number,
    length: number,
  ) {
    this.fd = fd;
    this.family = family;
    this.view = memory.view;
    this.area = area;
    this.calls = syscalls();
    this.endpoint = area + AREA.endpoint;
    this.message = emptyMessage(memory, area);
    memory.storeAddress(memory.view, area + AREA.iovec, offset);
    memory.view.setUint32(area + AREA.iovec + 8, length, true);
  }

  /** Bytes received, or a negative errno; `segmentSize`, `truncated` and `endpoint` belong to it. */
  receive(): number {
    const { view, area } = this;
    const message = area + AREA.message;
    view.setUint32(message + MSG.nameLength, SOCKADDR.length6, true);
    view.setUint32(message + MSG.controlLength, AREA.controlLength, true);
    const length = this.calls.recvmsg(this.fd, this.message, 0);
    if (length < 0) return length;
    this.truncated = (view.getUint32(message + MSG.flags, true) & MSG_TRUNC) !== 0;
    this.segmentSize = length;
    this.readName();
    this.readControl();
    return length;
  }

  private readName(): void {
    const { view, endpoint } = this;
    const name = this.area + AREA.name;
    view.setUint16(endpoint + ENDPOINT.port, view.getUint16(name + SOCKADDR.port, false), true);
    view.setUint32(endpoint + ENDPOINT.scope, 0, true);
    view.setUint32(endpoint + ENDPOINT.hasSource, 0, true);
    view.setUint32(endpoint + ENDPOINT.sourceInterface, 0, true);
    if (this.family === AF_INET) {
      this.setAddress4(ENDPOINT.address, name + SOCKADDR.address4);
      view.setUint16(endpoint + ENDPOINT.family, 4, true);
    } else if (isMapped(view, name + SOCKADDR.address6)) {
      this.setAddress4(ENDPOINT.address, name + SOCKADDR.address6 + 12);
      view.setUint16(endpoint + ENDPOINT.family, 4, true);
    } else {
      copy16(view, endpoint + ENDPOINT.address, name + SOCKADDR.address6);
      view.setUint32(endpoint + ENDPOINT.scope, view.getUint32(name + SOCKADDR.scope, true), true);
      view.setUint16(endpoint + ENDPOINT.family, 6, true);
    }
  }

  private setAddress4(field: number, from: number): void {
    const { view } = this;
    const to = this.endpoint + field;
    view.setUint32(to, view.getUint32(from, true), true);
    view.setUint32(to + 4, 0, true);
    view.setUint32(to + 8, 0, true);
    view.setUint32(to + 12, 0, true);
  }

  private readControl(): void {
    const { view } = this;
    let at = this.area + AREA.control;
    const end = at + view.getUint32(this.area + AREA.message + MSG.controlLength, true);
    while (at + CMSG.data <= end) {
      const length = view.getUint32(at + CMSG.length, true);
      if (length < CMSG.data) break;
      const level = view.getInt32(at + CMSG.level, true);
      const type = view.getInt32(at + CMSG.type, true);
      const data = at + CMSG.data;
      if (level === SOL_UDP && type === UDP_GRO) {
        this.segmentSize = view.getInt32(data, true);
      } else if (level === IPPROTO_IPV6 && type === IPV6_PKTINFO) {
        this.setSource6(data);
      } else if (level === IPPROTO_IP && type === IP_PKTINFO) {
        this.setSource4(data + PKTINFO4.source, view.getInt32(data + PKTINFO4.interface, true));
      }
      at += (length + 7) & ~7;
    }
    if (view.getUint16(this.endpoint + ENDPOINT.hasSource, true) === 0) {
      for (let i = 0; i < 16; i += 4) view.setUint32(this.endpoint + ENDPOINT.source + i, 0, true);
    }
  }

  private setSource6(data: number): void {
    const { view, endpoint } = this;
    const index = view.getInt32(data + PKTINFO6.interface, true);
    if (isMapped(view, data + PKTINFO6.address)) {
      this.setSource4(data + PKTINFO6.address + 12, index);
      return;
    }
    copy16(view, endpoint + ENDPOINT.source, data + PKTINFO6.address);
    view.setUint32(endpoint + ENDPOINT.sourceInterface, index, true);
    view.setUint16(endpoint + ENDPOINT.hasSource, 1, true);
  }

  private setSource4(from: number, index: number): void {
    this.setAddress4(ENDPOINT.source, from);
    this.view.setUint32(this.endpoint + ENDPOINT.sourceInterface, index, true);
    this.view.setUint16(this.endpoint + ENDPOINT.hasSource, 1, true);
  }
}

/** Errors of a send from an address that has left this host, or has no route from there. */
export function isSourceError(result: number): boolean {
  return (
    result === -ERRNO.EINVAL ||
    result === -ERRNO.EADDRNOTAVAIL ||
    result === -ERRNO.ENETUNREACH ||
    result === -ERRNO.EHOSTUNREACH ||
    result === -ERRNO.ENODEV
  );
}
