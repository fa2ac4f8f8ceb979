import {
  IPV4,
  IPV4_FRAGMENT_MASK,
  IPV6,
  ipTotalLength,
  ipv4HeaderLength,
  ipv6TransportHeader,
  PROTOCOL,
  TCP,
  TCP_FLAG,
  UDP,
} from '../wire/ip.ts';
import { VNET_GSO, VNET_GSO_ECN, VNET_HEADER, VNET_NEEDS_CHECKSUM } from '../wire/virtio-net.ts';
import { fold, type MemoryKernel, swap16 } from './checksum.ts';
import type { PacketMemory } from './memory.ts';

/**
 * Turns what a TUN device with offloads hands out into packets as they travel: super-packets
 * (TSO for IPv4 and IPv6, USO) into segments, and single packets with an unfinished checksum into
 * finished ones. Works like the kernel's own software segmentation.
 *
 * The checksum field of such a packet holds the sum of the pseudo header (virtio 1.2, 5.1.6.2).
 * It is taken from there and not computed from the addresses, because under a routing header the
 * destination in the pseudo header is another one.
 */
export class Segmenter {
  /** Segments of the super-packet begun last. */
  count = 0;
  /** Length in bytes of every segment but the last ... */
  segmentLength = 0;
  /** ... and of the last. */
  lastSegmentLength = 0;

  private readonly u8: Uint8Array;
  private readonly view: DataView;
  private readonly kernel: MemoryKernel;

  private offset = 0;
  private length = 0;
  private position = 0;
  private isTcp = false;
  private isV4 = false;
  private transport = 0;
  private headerLength = 0;
  private payloadSize = 0;
  /** Signed, so that it is a small integer to the engine and never a boxed number. */
  private sequence = 0;
  private identification = 0;
  private flags = 0;
  private ipSum = 0;
  private transportSum = 0;

  constructor(memory: PacketMemory, kernel: MemoryKernel) {
    this.u8 = memory.u8;
    this.view = memory.view;
    this.kernel = kernel;
  }

  /**
   * Reads the super-packet of `length` bytes at `offset`, whose virtio-net header is before it.
   * False if it is malformed. Changes nothing in place; `next` does.
   */
  begin(offset: number, length: number): boolean {
    const { view } = this;
    const vnet = offset - VNET_HEADER.length;
    const type = view.getUint8(vnet + VNET_HEADER.gsoType) & ~VNET_GSO_ECN;
    const payloadSize = view.getUint16(vnet + VNET_HEADER.gsoSize, true);
    const transport = view.getUint16(vnet + VNET_HEADER.checksumStart, true);
    const checksum = view.getUint16(vnet + VNET_HEADER.checksumOffset, true);
    if ((view.getUint8(vnet + VNET_HEADER.flags) & VNET_NEEDS_CHECKSUM) === 0) return false;
    if (payloadSize === 0 || ipTotalLength(view, offset, length) !== length) return false;

    const isV4 = view.getUint8(offset) >>> 4 === 4;
    const isTcp = type === (isV4 ? VNET_GSO.tcp4 : VNET_GSO.tcp6);
    if (!isTcp && type !== VNET_GSO.udp) return false;
    if (!this.hasTransport(offset, length, isV4, isTcp, transport)) return false;
    if (checksum !== (isTcp ? TCP.checksum : UDP.checksum)) return false;

    let headerLength = transport + UDP.headerLength;
    if (isTcp) {
      if (transport + TCP.headerLength > length) return false;
      const tcpLength = (view.getUint8(offset + transport + TCP.dataOffset) >>> 4) * 4;
      if (tcpLength < TCP.headerLength) return false;
      headerLength = transport + tcpLength;
    }
    if (headerLength >= length) return false;
    if (!isTcp && view.getUint16(offset + transport + UDP.length, false) !== length - transport) {
      return false;
    }

    this.offset = offset;
    this.length = length;
    this.position = headerLength;
    this.isTcp = isTcp;
    this.isV4 = isV4;
    this.transport = transport;
    this.headerLength = headerLength;
    this.payloadSize = payloadSize;
    this.count = Math.ceil((length - headerLength) / payloadSize);
    this.segmentLength = Math.min(length, headerLength + payloadSize);
    this.lastSegmentLength = length - (this.count - 1) * payloadSize;
    return true;
  }

  /** Writes the next segment to `destination`; its length, or 0 if there is none left. */
  next(destination: number): number {
    const { view, u8, length, headerLength, transport, position } = this;
    if (position === headerLength) this.prepare();
    const payload = Math.min(this.payloadSize, length - position);
    if (payload <= 0) return 0;
    const last = position + payload === length;
    const total = headerLength + payload;
    const transportLength = total - transport;
    this.kernel.copy(destination, this.offset, headerLength);
    const payloadSum = this.kernel.copySum(
      destination + headerLength,
      this.offset + position,
      payload,
      0,
    );

    if (this.isV4) {
      const id = this.identification;
      this.identification = (id + 1) & 0xffff;
      view.setUint16(destination + IPV4.totalLength, total, false);
      view.setUint16(destination + IPV4.identification, id, false);
      const sum = fold(this.ipSum + swap16(total) + swap16(id));
      view.setUint16(destination + IPV4.checksum, ~sum & 0xffff, true);
    } else {
      view.setUint16(destination + IPV6.payloadLength, total - IPV6.headerLength, false);
    }

    const at = destination + transport;
    let sum = this.transportSum + payloadSum + swap16(transportLength);
    if (this.isTcp) {
      const { sequence } = this;
      this.sequence = (sequence + payload) | 0;
      // RFC 9293: FIN stands behind the last byte; PSH follows it. RFC 3168 6.1.2: CWR goes out once.
      let flags = this.flags;
      if (!last) flags &= ~(TCP_FLAG.fin | TCP_FLAG.psh);
      if (position !== headerLength) flags &= ~TCP_FLAG.cwr;
      view.setInt32(at + TCP.sequence, sequence, false);
      u8[at + TCP.flags] = flags;
      sum += swap16(sequence >>> 16) + swap16(sequence) + (flags << 8);
      view.setUint16(at + TCP.checksum, finish(sum), true);
    } else {
      view.setUint16(at + UDP.length, transportLength, false);
      sum += swap16(transportLength);
      view.setUint16(at + UDP.checksum, finish(sum), true);
    }
    this.position = position + payload;
    return total;
  }

  /**
   * Finishes the checksum of the single packet at `offset` if its virtio-net header asks for it.
   * False if the header points outside the packet.
   */
  completeChecksum(offset: number, length: number): boolean {
    const { view } = this;
    const vnet = offset - VNET_HEADER.length;
    if ((view.getUint8(vnet + VNET_HEADER.flags) & VNET_NEEDS_CHECKSUM) === 0) return true;
    const start = view.getUint16(vnet + VNET_HEADER.checksumStart, true);
    const field = start + view.getUint16(vnet + VNET_HEADER.checksumOffset, true);
    if (field + 2 > length) return false;
    const sum = this.kernel.sum(offset + start, length - start, 0);
    view.setUint16(offset + field, finish(sum), true);
    return true;
  }

  /** True if TCP or UDP, whole and not a fragment, begins at `transport`. */
  private hasTransport(
    offset: number,
    length: number,
    isV4: boolean,
    isTcp: boolean,
    transport: number,
  ): boolean {
    const { view } = this;
    const protocol = isTcp ? PROTOCOL.tcp : PROTOCOL.udp;
    if (!isV4) return ipv6TransportHeader(view, offset, length, protocol) === transport;
    return (
      view.getUint8(offset + IPV4.protocol) === protocol &&
      (view.getUint16(offset + IPV4.fragment, false) & IPV4_FRAGMENT_MASK) === 0 &&
      ipv4HeaderLength(view, offset) === transport
    );
  }

  /** Sums up what is the same in all segments, with zeros in the fields that differ. */
  private prepare(): void {
    const { view, kernel, offset, transport } = this;
    const checksum = this.isTcp ? TCP.checksum : UDP.checksum;
    if (this.isV4) {
      this.identification = view.getUint16(offset + IPV4.identification, false);
      view.setUint16(offset + IPV4.totalLength, 0, false);
      view.setUint16(offset + IPV4.identification, 0, false);
      view.setUint16(offset + IPV4.checksum, 0, false);
      this.ipSum = kernel.sum(offset, transport, 0);
    }
    const at = offset + transport;
    const pseudoHeader = view.getUint16(at + checksum, true);
    const withoutLength = pseudoHeader + (~swap16(this.length - transport) & 0xffff);
    view.setUint16(at + checksum, 0, true);
    if (this.isTcp) {
      this.sequence = view.getInt32(at + TCP.sequence, false);
      this.flags = this.u8[at + TCP.flags]!;
      view.setInt32(at + TCP.sequence, 0, false);
      this.u8[at + TCP.flags] = 0;
    } else {
      view.setUint16(at + UDP.length, 0, false);
    }
    this.transportSum = kernel.sum(at, this.headerLength - transport, fold(withoutLength));
  }
}

/** Checksum of a sum. Zero is sent as its other form: in UDP, 0 would mean "none" (RFC 768). */
function finish(sum: number): number {
  return ~fold(sum) & 0xffff || 0xffff;
}
