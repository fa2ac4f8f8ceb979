import type { TransportAead } from '../crypto/transport-aead.ts';
import type { AllowedIps } from './allowedips.ts';
import type { MemoryKernel } from './checksum.ts';
import type { PacketMemory } from './memory.ts';

/**
 * What the two halves of the data path need from the thread that drives them.
 *
 * Every method here is called synchronously while a packet is in work. It must be done with the
 * memory it was given when it returns, and must not call back into the same `Outbound` or
 * `Inbound`: queue whatever follows from it and do that after the call into the data path.
 * All offsets are bytes into the shared memory. Times are f64 ms of the monotonic clock.
 */

/** What both halves are made of. */
export interface DataPathParts {
  readonly memory: PacketMemory;
  /** Data thread: chooses scratch, counters and buffers in `memory`. */
  readonly thread: number;
  /** Chooses the part of each peer slot that this thread counts in. */
  readonly lane: number;
  readonly aead: TransportAead;
  readonly kernel: MemoryKernel;
  /** The thread's own table. Both halves may share one if they run in the same thread. */
  readonly allowedIps: AllowedIps;
}

export interface OutboundSink {
  /**
   * Sends `length` bytes at `offset` to the peer's endpoint as datagrams of `segmentSize` bytes
   * (the last may be shorter): one sendmsg with UDP_SEGMENT if `length > segmentSize`. At most 64
   * datagrams and 65,507 bytes. The sink reads the endpoint (`readEndpoint`), asks `EndpointRules`,
   * and counts `noEndpoint`, `endpointInTunnel` and `udpSendFailed`.
   */
  sendDatagrams(peer: number, offset: number, length: number, segmentSize: number): void;
  /** Packets are staged without a usable keypair, or the sending one is due. Once until control clears PEER.handshakeWanted. */
  handshakeWanted(peer: number): void;
}

export interface OutboundOptions extends DataPathParts {
  readonly sink: OutboundSink;
  /** MTU of the interface: padding never makes an inner packet longer than this. */
  readonly mtu: number;
}

export interface InboundSink {
  /**
   * A handshake message (types 1, 2, 3, of its exact length): copy it and hand it to control.
   * Counts `handshakeQueueFull` if there is no room.
   */
  handshake(offset: number, length: number, endpointOffset: number): void;
  /**
   * One packet or super-packet for the TUN device, as `count` iovecs at `iovecs`: struct iovec of
   * a 64-bit Linux, { u64 base, u64 length }, base = `memoryAddress` + offset into the memory.
   * With `vnetHeader` the first iovec is the 10-byte virtio-net header. `length` is the sum of all
   * iovec lengths. Counts `tunWriteFailed`.
   */
  writePacket(iovecs: number, count: number, length: number): void;
  /** First authenticated packet on this keypair, on whichever lane. */
  keypairConfirmed(slot: number): void;
}

export interface InboundOptions extends DataPathParts {
  readonly sink: InboundSink;
  /** Address of byte 0 of the memory in this process, for the iovecs; 0 makes them plain offsets. */
  readonly memoryAddress: number;
  /** Packets are written with a virtio-net header. Without it nothing is coalesced. */
  readonly vnetHeader: boolean;
  /** Write TCP segments of a flow as one super-packet (TUN_F_TSO4 and TUN_F_TSO6 are on). */
  readonly coalesceTcp: boolean;
  /** The same for UDP (TUN_F_USO4 and TUN_F_USO6 are on). */
  readonly coalesceUdp: boolean;
}

/** What both halves do for control, in the order in which control asked for it. */
export interface DataPathControl {
  /** Starts a peer slot with this half's counters zeroed and no keypair. */
  addPeer(peer: number): void;
  /** Lets go of and forgets its keypairs, allowed-ips and whatever is kept of it. */
  removePeer(peer: number): void;
  /** The slot in memory has been written: from now on it may be used. */
  installKeypair(slot: number): void;
  /**
   * Lets go of this half's key of the slot: it is never used again after this returned. The last
   * lane to let go zeroes it.
   */
  removeKeypair(slot: number): void;
  /** The same for all slots. Returns how many there were. */
  removeAllKeypairs(): number;
}

/** Outbound half: TUN to UDP. Uses the send keys and nonce counters, owns the staged packets. */
export interface OutboundPath extends DataPathControl {
  /** Interface MTU; may change at run time. */
  mtu: number;
  /**
   * Takes one packet of `length` bytes at `offset`, read from the TUN device (normally
   * `buffers(thread) + BUFFER.packet`). With `vnetHeader`, the 10 bytes before `offset` are its
   * virtio-net header and it may be a super-packet. Its bytes may be changed. Datagrams are kept
   * back until a batch is full or `flush`.
   */
  send(offset: number, length: number, vnetHeader: boolean, now: number): void;
  /** Hands over what is kept back. Call it after every readiness round, before waiting. */
  flush(): void;
  /** Sends on `slot` from now on and flushes staged packets, or sends a keepalive if `confirm` and none were staged. NONE stops. */
  sendOn(peer: number, slot: number, confirm: boolean, now: number): void;
  /** Seals an empty packet if the peer has a live sending keypair, and flushes. */
  keepalive(peer: number, now: number): void;
  dropStaged(peer: number): void;
  /** Counts handshake bytes that control sent. */
  addTraffic(peer: number, bytes: number): void;
}

/** Inbound half: UDP to TUN. Uses the receive keys and replay windows, owns the index table. */
export interface InboundPath extends DataPathControl {
  /**
   * Takes `length` bytes at `offset` (normally `buffers(thread) + BUFFER.datagrams`): datagrams of
   * `segmentSize` bytes each, the last may be shorter (UDP_GRO), all from the endpoint whose
   * ENDPOINT form is at `endpointOffset` (all 48 bytes set, unused ones zero). The datagrams are
   * opened to another place, so the buffer may be reused at once.
   */
  receive(
    offset: number,
    length: number,
    segmentSize: number,
    endpointOffset: number,
    now: number,
  ): void;
  /** Writes what is kept back for coalescing. Call it after every readiness round. */
  flush(): void;
  /** Switches coalescing (the kernel refused a super-packet, or the user does not want it). */
  setCoalescing(tcp: boolean, udp: boolean): void;
  /** Counts handshake bytes that control received from this peer. */
  addTraffic(peer: number, bytes: number): void;
}
