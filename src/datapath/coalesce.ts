import {
  IPV4,
  IPV4_DONT_FRAGMENT,
  IPV4_FRAGMENT_MASK,
  IPV6,
  PROTOCOL,
  TCP,
  TCP_FLAG,
  UDP,
} from '../wire/ip.ts';
import { VNET_GSO, VNET_HEADER, VNET_NEEDS_CHECKSUM } from '../wire/virtio-net.ts';
import { fold, swap16 } from './checksum.ts';
import { BUFFER } from './memory.ts';
import type { InboundOptions } from './sinks.ts';

/** Flows that are put together at the same time. */
const FLOWS = 8;
/** Segments of one super-packet (UDP_MAX_SEGMENTS for UDP). */
const MAX_SEGMENTS = 128;
const MAX_UDP_SEGMENTS = 64;
const MAX_IP_LENGTH = 65_535;
const IOVEC_LENGTH = 16;
/** Area of one flow: virtio-net header, then its iovecs. */
const IOVECS = 16;
const FLOW_LENGTH = IOVECS + (1 + MAX_SEGMENTS) * IOVEC_LENGTH;

/** Flags that may differ between the segments of a super-packet; they end it. */
const ENDING_FLAGS = TCP_FLAG.psh | TCP_FLAG.fin;
const COALESCIBLE_FLAGS = TCP_FLAG.ack | TCP_FLAG.ece | ENDING_FLAGS;

/** Identification fields of the IPv4 packets of a flow so far. */
const ID_OPEN = 0;
const ID_COUNTING = 1;
const ID_FIXED = 2;

/** A super-packet in the making. `count` 0: free. Offsets and lengths in bytes. */
class Flow {
  readonly area: number;
  count = 0;
  /** First packet: its headers become those of the super-packet. */
  head = 0;
  isV4 = false;
  isTcp = false;
  transport = 0;
  headerLength = 0;
  /** Length so far, headers counted once. */
  total = 0;
  /** Payload bytes of the first packet; no later one has more, and a smaller one is the last. */
  segmentSize = 0;
  /** Signed, so that it is a small integer to the engine and never a boxed number. */
  nextSequence = 0;
  /** PSH and FIN of all segments. */
  endingFlags = 0;
  headVerified = false;
  idPattern: typeof ID_OPEN | typeof ID_COUNTING | typeof ID_FIXED = ID_OPEN;

  constructor(area: number) {
    this.area = area;
  }
}

/**
 * Puts consecutive segments of a TCP or UDP flow together into one super-packet with a virtio-net
 * header, by iovecs that point at the payloads where they were opened, under the conditions of the
 * kernel's own receive offload: whoever segments it again gets the same packets. The order within
 * a flow is kept. Checksums are verified first, because the super-packet gets a new one.
 */
export class Coalescer {
  tcp: boolean;
  udp: boolean;

  private readonly options: InboundOptions;
  private readonly flows: Flow[] = [];
  /** Flows with a super-packet in the making. */
  private active = 0;
  /** Flow to write when another needs its place: round robin. */
  private victim = 0;
  /** Iovecs of packets that go out alone, with an all-zero virtio-net header. */
  private readonly single: number;

  constructor(options: InboundOptions) {
    const { memory, thread, vnetHeader } = options;
    this.options = options;
    this.tcp = options.coalesceTcp && vnetHeader;
    this.udp = options.coalesceUdp && vnetHeader;
    this.single = memory.buffers(thread) + BUFFER.coalesce;
    for (let i = 0; i < FLOWS; i++) this.flows.push(new Flow(this.single + (i + 1) * FLOW_LENGTH));
    this.setIovec(this.single + IOVECS, this.single, VNET_HEADER.length);
    for (const { area } of this.flows) this.setIovec(area + IOVECS, area, VNET_HEADER.length);
  }

  get isEmpty(): boolean {
    return this.active === 0;
  }

  /**
   * Takes the packet of `total` bytes at `packet` (4-byte aligned, `total` checked against its
   * header). True if it was kept and must stay where it is until `flush`.
   */
  write(packet: number, total: number): boolean {
    const { u8, view } = this.options.memory;
    if (u8[packet + IPV6.nextHeader] === PROTOCOL.udp && u8[packet]! >>> 4 === 6) {
      this.mendZeroChecksum(packet, total);
    }
    if (!this.tcp && !this.udp) return this.writeAlone(packet, total);
    const isV4 = u8[packet]! >>> 4 === 4;
    const transport = isV4 ? IPV4.headerLength : IPV6.headerLength;
    const protocol = u8[packet + (isV4 ? IPV4.protocol : IPV6.nextHeader)]!;
    const isTcp = protocol === PROTOCOL.tcp;
    const headersFit =
      total >= transport + (isTcp ? TCP.headerLength : UDP.headerLength) &&
      (isTcp || protocol === PROTOCOL.udp) &&
      (!isV4 ||
        (u8[packet] === 0x45 &&
          (view.getUint16(packet + IPV4.fragment, false) & IPV4_FRAGMENT_MASK) === 0));
    if (!headersFit) {
      // Anything else may belong to any flow (fragments, options, extension headers): it keeps its
      // place behind everything held.
      this.flush();
      return this.writeAlone(packet, total);
    }
    if (!(isTcp ? this.tcp : this.udp)) return this.writeAlone(packet, total);
    return this.writeSegment(packet, total, transport, isV4, isTcp);
  }

  /**
   * UDP over IPv6 whose checksum came out as 0 must carry 0xffff instead (RFC 8200 section 8.1), or
   * the receiving system drops it; some senders forget. A 0 that is not the sum means that there is
   * no checksum (RFC 6935) and stays.
   */
  private mendZeroChecksum(packet: number, total: number): void {
    const { memory, kernel } = this.options;
    const transport = IPV6.headerLength;
    if (total < transport + UDP.headerLength) return;
    const checksum = packet + transport + UDP.checksum;
    if (memory.view.getUint16(checksum, true) !== 0) return;
    const pseudoHeader = fold(swap16(PROTOCOL.udp) + swap16(total - transport));
    const sum = kernel.sum(packet + IPV6.source, total - IPV6.source, pseudoHeader);
    if (sum === 0xffff) memory.view.setUint16(checksum, 0xffff, true);
  }

  /** Writes everything held. */
  flush(): void {
    if (this.active === 0) return;
    for (let i = 0; i < FLOWS; i++) {
      const flow = this.flows[i]!;
      if (flow.count > 0) this.writeFlow(flow);
    }
  }

  private writeSegment(
    packet: number,
    total: number,
    transport: number,
    isV4: boolean,
    isTcp: boolean,
  ): boolean {
    const { u8, view } = this.options.memory;
    let headerLength = transport + UDP.headerLength;
    let flags = 0;
    let fits: boolean;
    if (isTcp) {
      headerLength = transport + (u8[packet + transport + TCP.dataOffset]! >>> 4) * 4;
      flags = u8[packet + transport + TCP.flags]!;
      fits =
        headerLength >= transport + TCP.headerLength &&
        (flags & ~COALESCIBLE_FLAGS) === 0 &&
        (flags & TCP_FLAG.ack) !== 0;
    } else {
      // Without a checksum there is nothing to verify and none to make (RFC 768).
      fits =
        view.getUint16(packet + transport + UDP.length, false) === total - transport &&
        view.getUint16(packet + transport + UDP.checksum, true) !== 0;
    }
    fits &&= total > headerLength;

    const flow = this.active === 0 ? undefined : this.find(packet, transport, isV4, isTcp);
    if (flow !== undefined) {
      if (fits && this.append(flow, packet, total, headerLength, flags)) return true;
      if (flow.count > 0) this.writeFlow(flow);
    }
    if (!fits || (flags & ENDING_FLAGS) !== 0) return this.writeAlone(packet, total);
    this.start(packet, total, transport, headerLength, isV4, isTcp);
    return true;
  }

  private start(
    packet: number,
    total: number,
    transport: number,
    headerLength: number,
    isV4: boolean,
    isTcp: boolean,
  ): void {
    let flow = this.flows[this.victim]!;
    if (this.active === FLOWS) {
      this.writeFlow(flow);
    } else {
      while (flow.count > 0) {
        this.victim = (this.victim + 1) % FLOWS;
        flow = this.flows[this.victim]!;
      }
    }
    this.victim = (this.victim + 1) % FLOWS;
    this.active++;
    flow.count = 1;
    flow.head = packet;
    flow.isV4 = isV4;
    flow.isTcp = isTcp;
    flow.transport = transport;
    flow.headerLength = headerLength;
    flow.total = total;
    flow.segmentSize = total - headerLength;
    flow.endingFlags = 0;
    flow.headVerified = false;
    flow.idPattern = ID_OPEN;
    if (isTcp) {
      const sequence = this.options.memory.view.getInt32(packet + transport + TCP.sequence, false);
      flow.nextSequence = (sequence + flow.segmentSize) | 0;
    }
    this.setIovec(flow.area + IOVECS + IOVEC_LENGTH, packet, total);
  }

  /** The flow that the packet belongs to: same protocol, addresses and ports. */
  private find(packet: number, transport: number, isV4: boolean, isTcp: boolean): Flow | undefined {
    const { u32 } = this.options.memory;
    const from = isV4 ? IPV4.source : IPV6.source;
    // Addresses stand right before the ports: neither header has options here.
    const words = (transport + 4 - from) >> 2;
    const at = (packet + from) >> 2;
    for (let i = 0; i < FLOWS; i++) {
      const flow = this.flows[i]!;
      if (flow.count === 0 || flow.isV4 !== isV4 || flow.isTcp !== isTcp) continue;
      const head = (flow.head + from) >> 2;
      let word = 0;
      while (word < words && u32[head + word] === u32[at + word]) word++;
      if (word === words) return flow;
    }
    return undefined;
  }

  /** Adds the packet if segmenting the result gives the same packets again. */
  private append(
    flow: Flow,
    packet: number,
    total: number,
    headerLength: number,
    flags: number,
  ): boolean {
    const { view } = this.options.memory;
    const payload = total - headerLength;
    const limit = flow.isTcp ? MAX_SEGMENTS : MAX_UDP_SEGMENTS;
    if (
      headerLength !== flow.headerLength ||
      payload > flow.segmentSize ||
      flow.total + payload > MAX_IP_LENGTH ||
      flow.count === limit
    ) {
      return false;
    }
    if (flow.isTcp && !this.continuesTcp(flow, packet)) return false;
    if (!(flow.isV4 ? this.continuesV4(flow, packet) : this.continuesV6(flow, packet))) {
      return false;
    }
    if (!this.verify(packet, total, flow)) return false;
    if (!flow.headVerified) {
      if (!this.verify(flow.head, flow.headerLength + flow.segmentSize, flow)) return false;
      flow.headVerified = true;
    }

    flow.count++;
    this.setIovec(flow.area + IOVECS + flow.count * IOVEC_LENGTH, packet + headerLength, payload);
    flow.total += payload;
    if (flow.isV4 && flow.idPattern === ID_OPEN) {
      const id = view.getUint16(packet + IPV4.identification, false);
      const first = view.getUint16(flow.head + IPV4.identification, false);
      flow.idPattern = id === first ? ID_FIXED : ID_COUNTING;
    }
    flow.nextSequence = (flow.nextSequence + payload) | 0;
    flow.endingFlags |= flags & ENDING_FLAGS;
    if (payload < flow.segmentSize || flow.endingFlags !== 0) this.writeFlow(flow);
    return true;
  }

  /** Next in sequence, with the same acknowledgement, window, options and other flags. */
  private continuesTcp(flow: Flow, packet: number): boolean {
    const { u8, u32, view } = this.options.memory;
    const at = packet + flow.transport;
    const head = flow.head + flow.transport;
    if (view.getInt32(at + TCP.sequence, false) !== flow.nextSequence) return false;
    if (u32[(at + TCP.acknowledgement) >> 2] !== u32[(head + TCP.acknowledgement) >> 2]) {
      return false;
    }
    if (u8[at + TCP.dataOffset] !== u8[head + TCP.dataOffset]) return false; // with reserved bits
    if (((u8[at + TCP.flags]! ^ u8[head + TCP.flags]!) & ~ENDING_FLAGS) !== 0) return false;
    if (view.getUint16(at + TCP.window, true) !== view.getUint16(head + TCP.window, true)) {
      return false;
    }
    const end = (packet + flow.headerLength) >> 2;
    let headWord = (head + TCP.headerLength) >> 2;
    for (let word = (at + TCP.headerLength) >> 2; word < end; word++, headWord++) {
      if (u32[word] !== u32[headWord]) return false;
    }
    return true;
  }

  /** Same TOS, TTL and DF; identification counts up, or stays the same where DF is set (RFC 6864). */
  private continuesV4(flow: Flow, packet: number): boolean {
    const { u8, view } = this.options.memory;
    const { head } = flow;
    if (u8[packet + IPV4.tos] !== u8[head + IPV4.tos]) return false;
    if (u8[packet + IPV4.ttl] !== u8[head + IPV4.ttl]) return false;
    const fragment = view.getUint16(packet + IPV4.fragment, false);
    if (fragment !== view.getUint16(head + IPV4.fragment, false)) return false;
    const id = view.getUint16(packet + IPV4.identification, false);
    const first = view.getUint16(head + IPV4.identification, false);
    if (id === ((first + flow.count) & 0xffff)) return flow.idPattern !== ID_FIXED;
    return id === first && (fragment & IPV4_DONT_FRAGMENT) !== 0 && flow.idPattern !== ID_COUNTING;
  }

  /** Same traffic class, flow label and hop limit. */
  private continuesV6(flow: Flow, packet: number): boolean {
    const { u8, u32 } = this.options.memory;
    return (
      u32[packet >> 2] === u32[flow.head >> 2] &&
      u8[packet + IPV6.hopLimit] === u8[flow.head + IPV6.hopLimit]
    );
  }

  /** Verifies the checksums of a packet with the flow's shape. */
  private verify(packet: number, total: number, flow: Flow): boolean {
    if (flow.isV4 && this.options.kernel.sum(packet, flow.transport, 0) !== 0xffff) return false;
    return this.sumWithPseudoHeader(packet, flow, total, total) === 0xffff;
  }

  /**
   * Sum of the pseudo header (addresses, protocol, length: RFC 9293 3.1, RFC 8200 8.1) and of the
   * packet from its transport header to `end`. In one go: the addresses stand right before it.
   */
  private sumWithPseudoHeader(packet: number, flow: Flow, total: number, end: number): number {
    const addresses = flow.isV4 ? IPV4.source : IPV6.source;
    const rest = swap16(flow.isTcp ? PROTOCOL.tcp : PROTOCOL.udp) + swap16(total - flow.transport);
    return this.options.kernel.sum(packet + addresses, end - addresses, fold(rest));
  }

  private writeFlow(flow: Flow): void {
    const { count, total } = flow;
    flow.count = 0;
    this.active--;
    if (count === 1) {
      this.writeAlone(flow.head, total);
      return;
    }
    this.finishHeaders(flow);
    this.options.sink.writePacket(flow.area + IOVECS, count + 1, VNET_HEADER.length + total);
  }

  private finishHeaders(flow: Flow): void {
    const { memory, kernel } = this.options;
    const { view, u8 } = memory;
    const { area, head, transport, total, isV4, isTcp } = flow;
    if (isV4) {
      view.setUint16(head + IPV4.totalLength, total, false);
      view.setUint16(head + IPV4.checksum, 0, true);
      view.setUint16(head + IPV4.checksum, ~kernel.sum(head, transport, 0) & 0xffff, true);
    } else {
      view.setUint16(head + IPV6.payloadLength, total - transport, false);
    }
    const at = head + transport;
    if (isTcp) u8[at + TCP.flags] = u8[at + TCP.flags]! | flow.endingFlags;
    else view.setUint16(at + UDP.length, total - transport, false);
    // Unfinished checksum: the sum of the pseudo header, not complemented (virtio 1.2, 5.1.6.2).
    const checksum = isTcp ? TCP.checksum : UDP.checksum;
    view.setUint16(at + checksum, this.sumWithPseudoHeader(head, flow, total, transport), true);

    const type = isTcp ? (isV4 ? VNET_GSO.tcp4 : VNET_GSO.tcp6) : VNET_GSO.udp;
    u8[area + VNET_HEADER.flags] = VNET_NEEDS_CHECKSUM;
    u8[area + VNET_HEADER.gsoType] = type;
    view.setUint16(area + VNET_HEADER.headerLength, flow.headerLength, true);
    view.setUint16(area + VNET_HEADER.gsoSize, flow.segmentSize, true);
    view.setUint16(area + VNET_HEADER.checksumStart, transport, true);
    view.setUint16(area + VNET_HEADER.checksumOffset, checksum, true);
  }

  private writeAlone(packet: number, total: number): false {
    const { vnetHeader, sink } = this.options;
    const iovecs = this.single + IOVECS;
    this.setIovec(iovecs + IOVEC_LENGTH, packet, total);
    if (vnetHeader) sink.writePacket(iovecs, 2, VNET_HEADER.length + total);
    else sink.writePacket(iovecs + IOVEC_LENGTH, 1, total);
    return false;
  }

  private setIovec(at: number, offset: number, length: number): void {
    const { u32 } = this.options.memory;
    const address = this.options.memoryAddress + offset;
    const word = at >> 2;
    u32[word] = address; // an address is below 2^53: stored modulo 2^32
    u32[word + 1] = Math.floor(address / 0x1_0000_0000);
    u32[word + 2] = length;
    u32[word + 3] = 0;
  }
}
