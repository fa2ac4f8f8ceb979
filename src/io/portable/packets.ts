import {
  IPV4,
  IPV4_DONT_FRAGMENT,
  IPV4_FRAGMENT_MASK,
  IPV6,
  ipTotalLength,
  ipv4HeaderLength,
  ipv6TransportHeader,
  PROTOCOL,
  UDP,
} from '../../wire/ip.ts';

/**
 * Whole IP packets of the few kinds that a virtual TUN device speaks by itself: ICMP echo
 * (RFC 792, RFC 4443 section 4) and UDP. Addresses are 4 or 16 bytes, both of the same family.
 */
export interface Echo {
  readonly kind: 'request' | 'reply';
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** u16 */
  readonly identifier: number;
  /** u16 */
  readonly sequence: number;
  readonly payload: Uint8Array;
}

export interface UdpDatagram {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

const ICMP = {
  type: 0,
  code: 1,
  checksum: 2,
  identifier: 4,
  sequence: 6,
  headerLength: 8,
} as const;
const ICMP_PROTOCOL = { 4: 1, 6: 58 } as const;
const ECHO_TYPE = {
  4: { request: 8, reply: 0 },
  6: { request: 128, reply: 129 },
} as const;
const HOP_LIMIT = 64;

/** The transport part of a packet: what stands behind the IP headers, and between whom. */
interface Segment {
  readonly family: 4 | 6;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Undefined if the packet is no ICMP echo, is a fragment, or has a wrong checksum or length. */
export function parseEcho(packet: Uint8Array): Echo | undefined {
  const version = versionOf(packet);
  if (version === 0) return undefined;
  const segment = parseSegment(packet, ICMP_PROTOCOL[version]);
  if (segment === undefined || segment.bytes.length < ICMP.headerLength) return undefined;
  const { source, destination, bytes } = segment;
  const type = bytes[ICMP.type];
  const { request, reply } = ECHO_TYPE[version];
  if ((type !== request && type !== reply) || bytes[ICMP.code] !== 0) return undefined;
  if (checksum(bytes, icmpPseudoHeader(segment)) !== 0) return undefined;
  const view = viewOf(bytes);
  return {
    kind: type === request ? 'request' : 'reply',
    source,
    destination,
    identifier: view.getUint16(ICMP.identifier),
    sequence: view.getUint16(ICMP.sequence),
    payload: bytes.subarray(ICMP.headerLength),
  };
}

export function buildEcho(echo: Echo): Uint8Array {
  const family = familyOf(echo.source);
  const protocol = ICMP_PROTOCOL[family];
  const { packet, bytes } = allocate(echo, protocol, ICMP.headerLength + echo.payload.length);
  const view = viewOf(bytes);
  view.setUint8(ICMP.type, ECHO_TYPE[family][echo.kind]);
  view.setUint16(ICMP.identifier, echo.identifier);
  view.setUint16(ICMP.sequence, echo.sequence);
  bytes.set(echo.payload, ICMP.headerLength);
  const pseudo = icmpPseudoHeader({ ...echo, family, bytes });
  view.setUint16(ICMP.checksum, checksum(bytes, pseudo));
  return packet;
}

/** Undefined if the packet is no UDP, is a fragment, or has a wrong checksum or length. */
export function parseUdp(packet: Uint8Array): UdpDatagram | undefined {
  const segment = parseSegment(packet, PROTOCOL.udp);
  if (segment === undefined || segment.bytes.length < UDP.headerLength) return undefined;
  const { family, source, destination } = segment;
  const view = viewOf(segment.bytes);
  const length = view.getUint16(UDP.length);
  if (length < UDP.headerLength || length > segment.bytes.length) return undefined;
  const bytes = segment.bytes.subarray(0, length);
  // RFC 768: zero is "no checksum"; RFC 8200 section 8.1 forbids that in IPv6.
  const hasChecksum = view.getUint16(UDP.checksum) !== 0 || family === 6;
  const pseudo = pseudoHeader({ ...segment, bytes }, PROTOCOL.udp);
  if (hasChecksum && checksum(bytes, pseudo) !== 0) return undefined;
  return {
    source,
    destination,
    sourcePort: view.getUint16(UDP.ports),
    destinationPort: view.getUint16(UDP.ports + 2),
    payload: bytes.subarray(UDP.headerLength),
  };
}

export function buildUdp(datagram: UdpDatagram): Uint8Array {
  const family = familyOf(datagram.source);
  const length = UDP.headerLength + datagram.payload.length;
  const { packet, bytes } = allocate(datagram, PROTOCOL.udp, length);
  const view = viewOf(bytes);
  view.setUint16(UDP.ports, datagram.sourcePort);
  view.setUint16(UDP.ports + 2, datagram.destinationPort);
  view.setUint16(UDP.length, length);
  bytes.set(datagram.payload, UDP.headerLength);
  const sum = checksum(bytes, pseudoHeader({ ...datagram, family, bytes }, PROTOCOL.udp));
  view.setUint16(UDP.checksum, sum === 0 ? 0xffff : sum);
  return packet;
}

/** Whether it is an IP packet to the address (4 or 16 bytes). Asked of every packet: nothing is allocated. */
export function isTo(packet: Uint8Array, address: Uint8Array): boolean {
  const family = familyOf(address);
  if (versionOf(packet) !== family) return false;
  const { destination } = family === 4 ? IPV4 : IPV6;
  for (let i = 0; i < address.length; i++) {
    if (packet[destination + i] !== address[i]) return false;
  }
  return true;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function versionOf(packet: Uint8Array): 4 | 6 | 0 {
  const version = packet[0]! >>> 4;
  if (version === 4 && packet.length >= IPV4.headerLength) return 4;
  return version === 6 && packet.length >= IPV6.headerLength ? 6 : 0;
}

/** By its first header alone, so that most of those that are of another one cost no object. */
function mayBeOf(protocol: number, packet: Uint8Array): boolean {
  if (versionOf(packet) === 4) return packet[IPV4.protocol] === protocol;
  const next = packet[IPV6.nextHeader];
  return next === protocol || (next !== PROTOCOL.tcp && next !== PROTOCOL.udp);
}

function familyOf(address: Uint8Array): 4 | 6 {
  return address.length === 4 ? 4 : 6;
}

function parseSegment(packet: Uint8Array, protocol: number): Segment | undefined {
  if (!mayBeOf(protocol, packet)) return undefined;
  const view = viewOf(packet);
  const total = ipTotalLength(view, 0, packet.length);
  if (total === 0) return undefined;
  if (versionOf(packet) === 4) {
    const header = ipv4HeaderLength(view, 0);
    if (view.getUint16(IPV4.fragment) & IPV4_FRAGMENT_MASK) return undefined;
    if (checksum(packet.subarray(0, header), 0) !== 0) return undefined;
    return {
      family: 4,
      source: packet.subarray(IPV4.source, IPV4.source + 4),
      destination: packet.subarray(IPV4.destination, IPV4.destination + 4),
      bytes: packet.subarray(header, total),
    };
  }
  const at = ipv6TransportHeader(view, 0, total, protocol);
  if (at === 0) return undefined;
  return {
    family: 6,
    source: packet.subarray(IPV6.source, IPV6.source + 16),
    destination: packet.subarray(IPV6.destination, IPV6.destination + 16),
    bytes: packet.subarray(at, total),
  };
}

/** A packet with its IP header, and a view of the `length` zero bytes behind it. */
function allocate(
  ends: { readonly source: Uint8Array; readonly destination: Uint8Array },
  protocol: number,
  length: number,
): { packet: Uint8Array; bytes: Uint8Array } {
  const family = familyOf(ends.source);
  if (familyOf(ends.destination) !== family) throw new TypeError('addresses of two families');
  const header = family === 4 ? IPV4.headerLength : IPV6.headerLength;
  const total = header + length;
  if (total > 0xffff) throw new RangeError(`a packet of ${total} bytes`);
  const packet = new Uint8Array(total);
  const view = viewOf(packet);
  if (family === 4) {
    view.setUint8(IPV4.versionAndHeaderLength, 0x45);
    view.setUint16(IPV4.totalLength, total);
    view.setUint16(IPV4.fragment, IPV4_DONT_FRAGMENT);
    view.setUint8(IPV4.ttl, HOP_LIMIT);
    view.setUint8(IPV4.protocol, protocol);
    packet.set(ends.source, IPV4.source);
    packet.set(ends.destination, IPV4.destination);
    view.setUint16(IPV4.checksum, checksum(packet.subarray(0, header), 0));
  } else {
    view.setUint32(IPV6.versionClassFlow, 0x6000_0000);
    view.setUint16(IPV6.payloadLength, length);
    view.setUint8(IPV6.nextHeader, protocol);
    view.setUint8(IPV6.hopLimit, HOP_LIMIT);
    packet.set(ends.source, IPV6.source);
    packet.set(ends.destination, IPV6.destination);
  }
  return { packet, bytes: packet.subarray(header) };
}

/** ICMP covers a pseudo header in IPv6 only (RFC 4443 section 2.3). */
function icmpPseudoHeader(segment: Segment): number {
  return segment.family === 4 ? 0 : pseudoHeader(segment, ICMP_PROTOCOL[6]);
}

/** Sum of the pseudo header of RFC 9293 section 3.1 and RFC 8200 section 8.1. */
function pseudoHeader(segment: Segment, protocol: number): number {
  const { source, destination, bytes } = segment;
  return sumOf(source, 0) + sumOf(destination, 0) + protocol + bytes.length;
}

function sumOf(bytes: Uint8Array, start: number): number {
  let sum = start;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) | (bytes[at + 1] ?? 0);
  return sum;
}

/** RFC 1071: the complement of the folded sum; 0 over data that holds its own checksum. */
function checksum(bytes: Uint8Array, start: number): number {
  let sum = sumOf(bytes, start);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
