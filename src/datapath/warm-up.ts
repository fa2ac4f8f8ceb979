import { IPV4, PROTOCOL, TCP, TCP_FLAG, UDP } from '../wire/ip.ts';
import { VNET_GSO, VNET_HEADER, VNET_NEEDS_CHECKSUM } from '../wire/virtio-net.ts';
import { AllowedIps } from './allowedips.ts';
import { Inbound } from './inbound.ts';
import { BUFFER, BUFFER_LENGTH, KEYPAIR, LANE_PEER, type MemoryLayout, PEER } from './memory.ts';
import { Outbound } from './outbound.ts';
import type { DataPathParts } from './sinks.ts';

/**
 * Dry runs of the data path: packets of the usual shapes that come from nowhere and go nowhere, so
 * that the engine has seen and compiled the code before the first real one. Without them the first
 * packets of a tunnel take milliseconds each, and small ones stay slow for thousands of packets.
 *
 * They use a peer slot and a keypair slot that control leaves to the thread (`WARM_UP_SLOTS`), and the
 * thread's buffers, and leave zeros: only for a thread whose data path has not begun. Takes some 15 ms.
 */

/** So many peer slots and keypair slots at the end of the memory are the threads' own. */
export const WARM_UP_SLOTS = ({ threads }: Pick<MemoryLayout, 'threads'>): number => threads;

const MTU = 1420;
/** Like a real clock, no small integer. */
const NOW = 0.5;
/** How often each shape is run through. Own tuning: about when nothing is compiled any more. */
const ROUNDS = { large: 40, small: 500 };

interface Shape {
  readonly protocol: number;
  readonly length: number;
  /** Payload bytes per segment of a super-packet, or 0. */
  readonly segment: number;
  readonly rounds: number;
}

const TCP_HEADERS = IPV4.headerLength + 32;
const SHAPES: readonly Shape[] = [
  { protocol: PROTOCOL.tcp, length: TCP_HEADERS + 40 * 1368, segment: 1368, rounds: ROUNDS.large },
  { protocol: PROTOCOL.tcp, length: TCP_HEADERS, segment: 0, rounds: ROUNDS.small },
  { protocol: PROTOCOL.udp, length: 100, segment: 0, rounds: ROUNDS.small },
];

/** Writes a packet with its virtio-net header before it, as the TUN device would. */
function writePacket({ memory }: DataPathParts, at: number, shape: Shape): void {
  const { u8, view } = memory;
  const { protocol, length, segment } = shape;
  const isTcp = protocol === PROTOCOL.tcp;
  u8.fill(0, at - VNET_HEADER.length, at + length);
  u8[at] = 0x45;
  view.setUint16(at + IPV4.totalLength, length, false);
  u8[at + IPV4.ttl] = 64;
  u8[at + IPV4.protocol] = protocol;
  u8.set([10, 0, 0, 1, 10, 0, 0, 1], at + IPV4.source);
  const transport = at + IPV4.headerLength;
  if (isTcp) {
    u8[transport + TCP.dataOffset] = ((TCP_HEADERS - IPV4.headerLength) / 4) << 4;
    u8[transport + TCP.flags] = TCP_FLAG.ack;
  } else {
    view.setUint16(transport + UDP.length, length - IPV4.headerLength, false);
  }
  const header = at - VNET_HEADER.length;
  u8[header + VNET_HEADER.flags] = VNET_NEEDS_CHECKSUM;
  u8[header + VNET_HEADER.gsoType] = segment > 0 ? VNET_GSO.tcp4 : VNET_GSO.none;
  view.setUint16(header + VNET_HEADER.gsoSize, segment, true);
  view.setUint16(header + VNET_HEADER.checksumStart, IPV4.headerLength, true);
  view.setUint16(header + VNET_HEADER.checksumOffset, isTcp ? TCP.checksum : UDP.checksum, true);
}

/** Slots of this thread, with a keypair that talks to itself. */
interface Rehearsal {
  readonly peer: number;
  readonly slot: number;
  readonly own: DataPathParts;
}

function prepare(parts: DataPathParts): Rehearsal {
  const { memory, thread } = parts;
  const peer = memory.layout.maxPeers - 1 - thread;
  const slot = memory.layout.maxKeypairs - 1 - thread;
  const at = memory.keypair(slot);
  memory.u8.fill(7, at, at + 64);
  memory.u32[(at + KEYPAIR.peer) >> 2] = peer;
  memory.u32[(at + KEYPAIR.localIndex) >> 2] = 1;
  memory.u32[(at + KEYPAIR.remoteIndex) >> 2] = 1;
  memory.f64[(at + KEYPAIR.rejectAt) >> 3] = Number.POSITIVE_INFINITY;
  memory.f64[(at + KEYPAIR.rekeyAt) >> 3] = Number.POSITIVE_INFINITY;
  const allowedIps = new AllowedIps();
  allowedIps.insert({ address: Uint8Array.of(10, 0, 0, 0), length: 24 }, peer);
  return { peer, slot, own: { ...parts, allowedIps } };
}

function clean({ memory, thread, lane }: DataPathParts, { peer, slot }: Rehearsal): void {
  const areas: [start: number, length: number][] = [
    [memory.keypair(slot), KEYPAIR.length],
    [memory.peer(peer), PEER.length],
    [memory.lanePeer(lane, peer), LANE_PEER.length],
  ];
  for (const [start, length] of areas) memory.u8.fill(0, start, start + length);
  memory.replayWindow(slot).reset();
  clearBuffers(memory.u32, memory.buffers(thread) >> 2);
}

/** Words looked at at once: a page. */
const STEP = 1024;

/** Only what was written: a page that is read costs no memory, one that is written does. */
function clearBuffers(u32: Uint32Array, start: number): void {
  const end = start + (BUFFER_LENGTH >> 2);
  for (let from = start; from < end; from += STEP) {
    if (isWritten(u32, from, from + STEP)) u32.fill(0, from, from + STEP);
  }
}

/** A loop of its own: `some` calls a function for each of a quarter of a million words. */
function isWritten(u32: Uint32Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (u32[at] !== 0) return true;
  return false;
}

/** What left the outbound half last. */
const sealed = { offset: 0, length: 0, segment: 0 };

function newOutbound({ own, peer, slot }: Rehearsal): Outbound {
  const outbound = new Outbound({
    ...own,
    mtu: MTU,
    sink: {
      sendDatagrams: (_peer, offset, length, segment) => {
        sealed.offset = offset;
        sealed.length = length;
        sealed.segment = segment;
      },
      handshakeWanted: () => {},
    },
  });
  outbound.addPeer(peer);
  outbound.installKeypair(slot);
  outbound.sendOn(peer, slot, false, NOW);
  return outbound;
}

/** Compiles the way from the TUN device to the socket. */
export function warmUpOutbound(parts: DataPathParts): void {
  const rehearsal = prepare(parts);
  const outbound = newOutbound(rehearsal);
  const packet = parts.memory.buffers(parts.thread) + BUFFER.packet;
  for (const shape of SHAPES) {
    for (let round = 0; round < shape.rounds; round++) {
      writePacket(parts, packet, shape);
      outbound.send(packet, shape.length, true, NOW);
      outbound.flush();
    }
  }
  clean(parts, rehearsal);
}

/** Compiles the way from the socket to the TUN device. */
export function warmUpInbound(parts: DataPathParts): void {
  const rehearsal = prepare(parts);
  const { peer, slot, own } = rehearsal;
  const outbound = newOutbound(rehearsal);
  const inbound = new Inbound({
    ...own,
    memoryAddress: 0,
    vnetHeader: true,
    coalesceTcp: true,
    coalesceUdp: true,
    sink: { handshake: () => {}, writePacket: () => {}, keypairConfirmed: () => {} },
  });
  inbound.addPeer(peer);
  inbound.installKeypair(slot);
  const { memory } = parts;
  const window = memory.replayWindow(slot);
  const buffers = memory.buffers(parts.thread);
  const packet = buffers + BUFFER.packet;
  const endpoint = buffers + BUFFER.inboundDriver;
  for (const shape of SHAPES) {
    writePacket(parts, packet, shape);
    outbound.send(packet, shape.length, true, NOW);
    outbound.flush();
    const { offset, length, segment } = sealed;
    for (let round = 0; round < shape.rounds; round++) {
      window.reset();
      inbound.receive(offset, length, segment, endpoint, NOW);
      inbound.flush();
    }
  }
  clean(parts, rehearsal);
}
