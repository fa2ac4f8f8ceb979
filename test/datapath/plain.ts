/**
 * Packets the slow, obvious way: whole byte arrays, big-endian sums word by word, no state.
 * The data path's fast code is compared with this.
 */

/** RFC 1071: the checksum of `bytes`, as the big-endian number to be stored. */
export function plainChecksum(...parts: Uint8Array[]): number {
  const bytes = Uint8Array.from(parts.flatMap((part) => [...part]));
  return ~plainSum(bytes) & 0xffff;
}

/** One's-complement sum of the big-endian 16-bit words; an odd last byte is a high byte. */
export function plainSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += bytes[i]! * 256 + (bytes[i + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

const u16 = (value: number): number[] => [(value >> 8) & 255, value & 255];
const u32 = (value: number): number[] => [...u16(value >>> 16), ...u16(value & 0xffff)];
const get16 = (bytes: Uint8Array, at: number): number => bytes[at]! * 256 + bytes[at + 1]!;
const get32 = (bytes: Uint8Array, at: number): number =>
  get16(bytes, at) * 65536 + get16(bytes, at + 2);

export interface PacketShape {
  version: 4 | 6;
  protocol: 'tcp' | 'udp';
  source: number;
  destination: number;
  sourcePort: number;
  destinationPort: number;
  tos: number;
  ttl: number;
  /** IPv4 only. */
  id: number;
  dontFragment: boolean;
  /** IPv4 header options: words. */
  ipOptions: number;
  /** IPv6 destination-options headers of 8 bytes. */
  extensionHeaders: number;
  sequence: number;
  acknowledgement: number;
  window: number;
  flags: number;
  /** Bytes, a multiple of 4. */
  tcpOptions: Uint8Array;
  payload: Uint8Array;
}

export const SHAPE: PacketShape = {
  version: 4,
  protocol: 'tcp',
  source: 1,
  destination: 2,
  sourcePort: 40000,
  destinationPort: 443,
  tos: 0,
  ttl: 64,
  id: 1,
  dontFragment: true,
  ipOptions: 0,
  extensionHeaders: 0,
  sequence: 1000,
  acknowledgement: 5000,
  window: 512,
  flags: 0x10,
  tcpOptions: new Uint8Array(0),
  payload: new Uint8Array(0),
};

/** Address number `n`: 10.0.0.n or fd00::n. */
export function address(version: 4 | 6, n: number): Uint8Array {
  if (version === 4) return Uint8Array.of(10, 0, 0, n);
  return Uint8Array.of(0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n);
}

export interface Built {
  bytes: Uint8Array;
  /** Offset of the TCP or UDP header. */
  transport: number;
  headerLength: number;
}

/** A packet with right lengths and checksums. */
export function build(shape: PacketShape): Built {
  const tcp = shape.protocol === 'tcp';
  const protocol = tcp ? 6 : 17;
  const transportHeader = tcp
    ? [
        ...u16(shape.sourcePort),
        ...u16(shape.destinationPort),
        ...u32(shape.sequence),
        ...u32(shape.acknowledgement),
        ((20 + shape.tcpOptions.length) / 4) << 4,
        shape.flags,
        ...u16(shape.window),
        ...[0, 0, 0, 0],
        ...shape.tcpOptions,
      ]
    : [
        ...u16(shape.sourcePort),
        ...u16(shape.destinationPort),
        ...u16(8 + shape.payload.length),
        ...[0, 0],
      ];
  const extensions: number[] = [];
  for (let i = shape.extensionHeaders; i > 0; i--) {
    extensions.push(i > 1 ? 60 : protocol, 0, 1, 4, 0, 0, 0, 0);
  }
  const l4Length = transportHeader.length + shape.payload.length;
  const ip =
    shape.version === 4
      ? [
          0x45 + shape.ipOptions,
          shape.tos,
          ...u16(20 + shape.ipOptions * 4 + l4Length),
          ...u16(shape.id),
          ...u16(shape.dontFragment ? 0x4000 : 0),
          shape.ttl,
          protocol,
          ...[0, 0],
          ...address(4, shape.source),
          ...address(4, shape.destination),
          ...new Array<number>(shape.ipOptions * 4).fill(1),
        ]
      : [
          0x60 | (shape.tos >> 4),
          (shape.tos & 15) << 4,
          ...[0x12, 0x34],
          ...u16(extensions.length + l4Length),
          shape.extensionHeaders > 0 ? 60 : protocol,
          shape.ttl,
          ...address(6, shape.source),
          ...address(6, shape.destination),
          ...extensions,
        ];
  const bytes = new Uint8Array(ip.length + l4Length);
  bytes.set(ip);
  bytes.set(transportHeader, ip.length);
  bytes.set(shape.payload, ip.length + transportHeader.length);
  const built = { bytes, transport: ip.length, headerLength: ip.length + transportHeader.length };
  fixChecksums(bytes, ip.length, tcp);
  return built;
}

function pseudoHeader(bytes: Uint8Array, transport: number, tcp: boolean): Uint8Array {
  const addresses = bytes[0]! >> 4 === 4 ? bytes.slice(12, 20) : bytes.slice(8, 40);
  const length = bytes.length - transport;
  return Uint8Array.from([...addresses, ...u32(length), 0, 0, 0, tcp ? 6 : 17]);
}

/** Sets the IPv4 header checksum and the transport checksum. */
export function fixChecksums(bytes: Uint8Array, transport: number, tcp: boolean): void {
  fixIpChecksum(bytes);
  const field = transport + (tcp ? 16 : 6);
  bytes.set([0, 0], field);
  const sum = plainChecksum(pseudoHeader(bytes, transport, tcp), bytes.slice(transport));
  bytes.set(u16(sum === 0 ? 0xffff : sum), field);
}

function fixIpChecksum(bytes: Uint8Array): void {
  if (bytes[0]! >> 4 !== 4) return;
  bytes.set([0, 0], 10);
  bytes.set(u16(plainChecksum(bytes.slice(0, (bytes[0]! & 15) * 4))), 10);
}

/** True if all checksums of the packet are right. */
export function checksumsRight(bytes: Uint8Array, transport: number, tcp: boolean): boolean {
  const fixed = bytes.slice();
  fixChecksums(fixed, transport, tcp);
  const field = transport + (tcp ? 16 : 6);
  const same = Buffer.compare(fixed, bytes) === 0;
  // 0 and 0xffff are the same sum.
  return same || (tcp && get16(bytes, field) === 0 && get16(fixed, field) === 0xffff);
}

/** Puts the sum of the pseudo header into the checksum field, as the kernel does for offloads. */
export function leaveChecksumUnfinished(bytes: Uint8Array, transport: number, tcp: boolean): void {
  const sum = plainSum(pseudoHeader(bytes, transport, tcp));
  bytes.set(u16(sum), transport + (tcp ? 16 : 6));
}

export interface VnetHeader {
  flags: number;
  gsoType: number;
  headerLength: number;
  gsoSize: number;
  checksumStart: number;
  checksumOffset: number;
}

export function vnetHeaderBytes(header: VnetHeader): Uint8Array {
  const bytes = new Uint8Array(10);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, header.flags);
  view.setUint8(1, header.gsoType);
  view.setUint16(2, header.headerLength, true);
  view.setUint16(4, header.gsoSize, true);
  view.setUint16(6, header.checksumStart, true);
  view.setUint16(8, header.checksumOffset, true);
  return bytes;
}

export function parseVnetHeader(bytes: Uint8Array): VnetHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 10);
  return {
    flags: view.getUint8(0),
    gsoType: view.getUint8(1),
    headerLength: view.getUint16(2, true),
    gsoSize: view.getUint16(4, true),
    checksumStart: view.getUint16(6, true),
    checksumOffset: view.getUint16(8, true),
  };
}

/**
 * The packets of a super-packet, or undefined if it is not a well-formed one. `packet` with its
 * virtio-net header; also takes single packets with an unfinished checksum.
 */
export function plainSegment(header: VnetHeader, packet: Uint8Array): Uint8Array[] | undefined {
  if (header.gsoType === 0) {
    if ((header.flags & 1) === 0) return [packet.slice()];
    const field = header.checksumStart + header.checksumOffset;
    if (field + 2 > packet.length) return undefined;
    const finished = packet.slice();
    const sum = plainChecksum(finished.slice(header.checksumStart));
    finished.set(u16(sum === 0 ? 0xffff : sum), field);
    return [finished];
  }

  const type = header.gsoType & 0x7f;
  const version = packet[0]! >> 4;
  if ((header.flags & 1) === 0 || header.gsoSize === 0) return undefined;
  if (type !== 1 && type !== 4 && type !== 5) return undefined;
  if (type === 1 && version !== 4) return undefined;
  if (type === 4 && version !== 6) return undefined;
  const tcp = type !== 5;
  const transport = plainTransport(packet, tcp ? 6 : 17);
  if (transport === undefined || transport !== header.checksumStart) return undefined;
  if (header.checksumOffset !== (tcp ? 16 : 6)) return undefined;
  if (transport + (tcp ? 20 : 8) > packet.length) return undefined;
  const transportHeader = tcp ? (packet[transport + 12]! >> 4) * 4 : 8;
  if (tcp && transportHeader < 20) return undefined;
  if (!tcp && get16(packet, transport + 4) !== packet.length - transport) return undefined;
  const headers = packet.slice(0, transport + transportHeader);
  const payload = packet.slice(transport + transportHeader);
  if (headers.length < transport + transportHeader || payload.length === 0) return undefined;

  const segments: Uint8Array[] = [];
  for (let at = 0; at < payload.length; at += header.gsoSize) {
    const part = payload.slice(at, at + header.gsoSize);
    const segment = Uint8Array.from([...headers, ...part]);
    const first = at === 0;
    const last = at + header.gsoSize >= payload.length;
    if (version === 4) {
      segment.set(u16(segment.length), 2);
      segment.set(u16((get16(packet, 4) + segments.length) & 0xffff), 4);
    } else {
      segment.set(u16(segment.length - 40), 4);
    }
    if (tcp) {
      segment.set(u32((get32(packet, transport + 4) + at) % 2 ** 32), transport + 4);
      let flags = packet[transport + 13]!;
      if (!last) flags &= ~0x09;
      if (!first) flags &= ~0x80;
      segment[transport + 13] = flags;
    } else {
      segment.set(u16(8 + part.length), transport + 4);
    }
    fixChecksums(segment, transport, tcp);
    segments.push(segment);
  }
  return segments;
}

/** Offset of the transport header in a well-formed whole packet of that protocol. */
export function plainTransport(packet: Uint8Array, protocol: number): number | undefined {
  if (packet.length < 20) return undefined;
  if (packet[0]! >> 4 === 4) {
    const header = (packet[0]! & 15) * 4;
    if (header < 20 || header > packet.length || get16(packet, 2) !== packet.length) {
      return undefined;
    }
    if ((get16(packet, 6) & 0x3fff) !== 0 || packet[9] !== protocol) return undefined;
    return header;
  }
  if (packet[0]! >> 4 !== 6 || packet.length < 40) return undefined;
  if (get16(packet, 4) + 40 !== packet.length) return undefined;
  let next = packet[6]!;
  let at = 40;
  while (next !== protocol) {
    if (at + 8 > packet.length) return undefined;
    if (next === 0 || next === 43 || next === 60) {
      next = packet[at]!;
      at += 8 + packet[at + 1]! * 8;
    } else if (next === 51) {
      next = packet[at]!;
      at += 8 + packet[at + 1]! * 4;
    } else {
      return undefined;
    }
  }
  return at;
}
