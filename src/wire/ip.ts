/**
 * Fields of the packets inside the tunnel: IPv4 (RFC 791), IPv6 (RFC 8200), TCP (RFC 9293), UDP
 * (RFC 768). Offsets in bytes from the start of each header; integers in network order.
 */
export const IPV4 = {
  versionAndHeaderLength: 0,
  /** DSCP and ECN. */
  tos: 1,
  totalLength: 2,
  identification: 4,
  /** 3 flag bits, then the fragment offset in units of 8 bytes. */
  fragment: 6,
  ttl: 8,
  protocol: 9,
  checksum: 10,
  source: 12,
  destination: 16,
  /** Without options. */
  headerLength: 20,
} as const;

export const IPV4_DONT_FRAGMENT = 0x4000;
/** More-fragments flag and fragment offset: not zero in every fragment. */
export const IPV4_FRAGMENT_MASK = 0x3fff;

export const IPV6 = {
  /** u32: version, traffic class, flow label. */
  versionClassFlow: 0,
  payloadLength: 4,
  nextHeader: 6,
  hopLimit: 7,
  source: 8,
  destination: 24,
  headerLength: 40,
} as const;

export const TCP = {
  ports: 0,
  sequence: 4,
  acknowledgement: 8,
  dataOffset: 12,
  flags: 13,
  window: 14,
  checksum: 16,
  /** Without options. */
  headerLength: 20,
} as const;

export const TCP_FLAG = {
  fin: 0x01,
  syn: 0x02,
  rst: 0x04,
  psh: 0x08,
  ack: 0x10,
  urg: 0x20,
  ece: 0x40,
  cwr: 0x80,
} as const;

export const UDP = {
  ports: 0,
  length: 4,
  checksum: 6,
  headerLength: 8,
} as const;

export const PROTOCOL = { tcp: 6, udp: 17 } as const;

/** Header chain of IPv6, RFC 8200 section 4: those that may stand between IPv6 and TCP or UDP. */
const HOP_BY_HOP = 0;
const ROUTING = 43;
const DESTINATION_OPTIONS = 60;
const AUTHENTICATION = 51;

/** 4 or 6, or 0 for anything else. `length` is at least 0. */
export function ipVersion(view: DataView, offset: number, length: number): 4 | 6 | 0 {
  if (length < IPV4.headerLength) return 0;
  const version = view.getUint8(offset) >>> 4;
  if (version === 4) return 4;
  return version === 6 && length >= IPV6.headerLength ? 6 : 0;
}

/**
 * Length of the packet by its own header, or 0 if the header is malformed or says more than the
 * `length` bytes there are (which may include padding).
 */
export function ipTotalLength(view: DataView, offset: number, length: number): number {
  const version = ipVersion(view, offset, length);
  if (version === 4) {
    const header = ipv4HeaderLength(view, offset);
    const total = view.getUint16(offset + IPV4.totalLength, false);
    return header >= IPV4.headerLength && total >= header && total <= length ? total : 0;
  }
  if (version === 6) {
    const total = IPV6.headerLength + view.getUint16(offset + IPV6.payloadLength, false);
    return total <= length ? total : 0;
  }
  return 0;
}

export function ipv4HeaderLength(view: DataView, offset: number): number {
  return (view.getUint8(offset) & 0x0f) * 4;
}

/**
 * Offset of the transport header of an IPv6 packet of `total` bytes relative to its start if its
 * protocol is `protocol` and no fragment header comes before it; else 0.
 */
export function ipv6TransportHeader(
  view: DataView,
  offset: number,
  total: number,
  protocol: number,
): number {
  let next = view.getUint8(offset + IPV6.nextHeader);
  let at: number = IPV6.headerLength;
  while (next !== protocol) {
    const units =
      next === HOP_BY_HOP || next === ROUTING || next === DESTINATION_OPTIONS
        ? 8
        : next === AUTHENTICATION
          ? 4
          : 0;
    if (units === 0 || at + 8 > total) return 0;
    const length = view.getUint8(offset + at + 1);
    next = view.getUint8(offset + at);
    at += units === 8 ? (length + 1) * 8 : (length + 2) * 4;
  }
  return at;
}
