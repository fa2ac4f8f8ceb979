import type { TransportAead } from '../../src/crypto/transport-aead.ts';
import { AllowedIps } from '../../src/datapath/allowedips.ts';
import { javascriptKernel } from '../../src/datapath/checksum.ts';
import { Inbound } from '../../src/datapath/inbound.ts';
import {
  BUFFER,
  DROP_REASONS,
  type DropReason,
  KEYPAIR,
  LANE_PEER,
  PacketMemory,
} from '../../src/datapath/memory.ts';
import { Outbound } from '../../src/datapath/outbound.ts';
import { writeKeypair } from '../../src/tunnel/slots-in-memory.ts';
import { type Endpoint, encodeEndpoint } from '../../src/wire/endpoint.ts';
import { simulationAead } from '../lab/aead.ts';
import { address } from './plain.ts';

export const MTU = 1420;

export interface Sent {
  peer: number;
  datagrams: Uint8Array[];
  segmentSize: number;
}

export interface KeypairOptions {
  slot: number;
  peer: number;
  /** Seed of the send key here; the other side's `receive`. */
  send?: number;
  receive?: number;
  localIndex?: number;
  remoteIndex?: number;
  rejectAt?: number;
  rekeyAt?: number;
  sendWhenHeard?: boolean;
}

/** Both halves in one thread on their own memory, and everything they hand out. */
export class Side {
  readonly memory: PacketMemory;
  readonly lane: number;
  readonly allowedIps = new AllowedIps();
  readonly sent: Sent[] = [];
  readonly wanted: number[] = [];
  readonly written: Uint8Array[] = [];
  readonly handshakes: Uint8Array[] = [];
  readonly confirmed: number[] = [];
  readonly aead: TransportAead;
  readonly outbound: Outbound;
  readonly inbound: Inbound;

  /** `memory`: another side's, to be lane `lane` of the same tunnel; thread and lane have one number. */
  constructor(options: { vnetHeader?: boolean; memory?: PacketMemory; lane?: number } = {}) {
    const lane = options.lane ?? 0;
    const memory =
      options.memory ?? new PacketMemory({ maxPeers: 16, maxKeypairs: 64, threads: 1, lanes: 1 });
    this.memory = memory;
    this.lane = lane;
    this.aead = simulationAead(memory.memory, memory.scratch(lane));
    const parts = {
      memory,
      thread: lane,
      lane,
      aead: this.aead,
      kernel: javascriptKernel(memory.memory),
      allowedIps: this.allowedIps,
    };
    this.outbound = new Outbound({
      ...parts,
      mtu: MTU,
      sink: {
        sendDatagrams: (peer, offset, length, segmentSize) => {
          const datagrams: Uint8Array[] = [];
          for (let at = 0; at < length; at += segmentSize) {
            const end = offset + Math.min(length, at + segmentSize);
            datagrams.push(memory.u8.slice(offset + at, end));
          }
          this.sent.push({ peer, datagrams, segmentSize });
        },
        handshakeWanted: (peer) => this.wanted.push(peer),
      },
    });
    const vnetHeader = options.vnetHeader ?? false;
    this.inbound = new Inbound({
      ...parts,
      memoryAddress: 0,
      vnetHeader,
      coalesceTcp: vnetHeader,
      coalesceUdp: vnetHeader,
      sink: {
        handshake: (offset, length) =>
          this.handshakes.push(memory.u8.slice(offset, offset + length)),
        keypairConfirmed: (slot) => this.confirmed.push(slot),
        writePacket: (iovecs, count, length) => {
          const bytes = new Uint8Array(length);
          let at = 0;
          for (let i = 0; i < count; i++) {
            const base = memory.u32[(iovecs >> 2) + i * 4]!;
            const size = memory.u32[(iovecs >> 2) + i * 4 + 2]!;
            bytes.set(memory.u8.subarray(base, base + size), at);
            at += size;
          }
          this.written.push(bytes);
        },
      },
    });
  }

  /** Adds peer `peer`, to which 10.0.0.(peer+1) and fd00::(peer+1) are routed. */
  addPeer(peer: number): void {
    this.outbound.addPeer(peer);
    this.inbound.addPeer(peer);
    this.allowedIps.insert({ address: address(4, peer + 1), length: 32 }, peer);
    this.allowedIps.insert({ address: address(6, peer + 1), length: 128 }, peer);
  }

  install(options: KeypairOptions): void {
    this.write(options);
    this.outbound.installKeypair(options.slot);
    this.inbound.installKeypair(options.slot);
  }

  /** Control's part of `install`. */
  write(options: KeypairOptions): void {
    writeKeypair(this.memory, {
      slot: options.slot,
      peer: options.peer,
      sendKey: new Uint8Array(32).fill(options.send ?? 1),
      receiveKey: new Uint8Array(32).fill(options.receive ?? 2),
      localIndex: options.localIndex ?? options.slot + 0xf000_0000,
      remoteIndex: options.remoteIndex ?? options.slot + 0xf000_0000,
      rejectAt: options.rejectAt ?? 180_000,
      rekeyAt: options.rekeyAt ?? Number.POSITIVE_INFINITY,
      sendWhenHeard: options.sendWhenHeard ?? false,
    });
  }

  setCounter(slot: number, counter: bigint): void {
    const at = (this.memory.keypair(slot) + KEYPAIR.sendCounterLow) >> 3;
    new BigUint64Array(this.memory.memory.buffer)[at] = counter;
  }

  /** From the TUN device; flushes unless told not to. */
  send(packet: Uint8Array, now = 1, vnetHeader?: Uint8Array, flush = true): void {
    const at = this.memory.buffers(this.lane) + BUFFER.packet;
    this.memory.u8.fill(0xee, at - 10, at + packet.length + 64);
    if (vnetHeader !== undefined) this.memory.u8.set(vnetHeader, at - 10);
    this.memory.u8.set(packet, at);
    this.outbound.send(at, packet.length, vnetHeader !== undefined, now);
    if (flush) this.outbound.flush();
  }

  /** From the UDP socket, from port `port`. */
  receive(
    datagrams: Uint8Array[],
    now = 1,
    port = 1000,
    flush = true,
    arrived: Partial<Endpoint> = {},
  ): void {
    const { memory } = this;
    const at = memory.buffers(this.lane) + BUFFER.datagrams;
    let length = 0;
    for (const datagram of datagrams) {
      memory.u8.set(datagram, at + length);
      length += datagram.length;
    }
    const endpoint = memory.buffers(this.lane) + BUFFER.inboundDriver;
    const from = { family: 4, address: Uint8Array.of(192, 0, 2, 1), port, scope: 0 } as const;
    encodeEndpoint(memory.u8, endpoint, { ...from, ...arrived });
    this.inbound.receive(at, length, datagrams[0]?.length ?? 0, endpoint, now);
    if (flush) this.inbound.flush();
  }

  /** All datagrams sent so far, and forgets them. */
  takeSent(): Uint8Array[] {
    return this.sent.splice(0).flatMap(({ datagrams }) => datagrams);
  }

  peerField(peer: number, field: keyof typeof LANE_PEER): number {
    return this.memory.f64[(this.memory.lanePeer(this.lane, peer) + LANE_PEER[field]) >> 3]!;
  }

  keysOf(slot: number): Uint8Array {
    const at = this.memory.keypair(slot);
    return this.memory.u8.slice(at, at + 64);
  }

  /** Drop counters that are not zero. */
  drops(): Partial<Record<DropReason, number>> {
    return Object.fromEntries(
      DROP_REASONS.map((reason) => [reason, this.memory.drops(reason)]).filter(([, n]) => n !== 0),
    );
  }
}

/** Two sides with one peer each (slot 0 on `a`, slot 1 on `b`) and one keypair in use. */
export function pair(options: { vnetHeader?: boolean } = {}): { a: Side; b: Side } {
  const a = new Side(options);
  const b = new Side(options);
  a.addPeer(1);
  b.addPeer(0);
  a.install({ slot: 3, peer: 1, send: 1, receive: 2, localIndex: 0x8000_0001, remoteIndex: 7 });
  b.install({ slot: 5, peer: 0, send: 2, receive: 1, localIndex: 7, remoteIndex: 0x8000_0001 });
  a.outbound.sendOn(1, 3, false, 0);
  b.outbound.sendOn(0, 5, false, 0);
  return { a, b };
}
