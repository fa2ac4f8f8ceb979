import { SCRATCH_LENGTH } from '../crypto/transport-aead.ts';
import { REPLAY_WINDOW_LENGTH, ReplayWindow } from '../session/replay-window.ts';
import { ENDPOINT } from '../wire/endpoint.ts';
import { VNET_HEADER } from '../wire/virtio-net.ts';

/**
 * The linear memory that the control thread and the data workers share: keypair slots, peer
 * slots, counters, and for each data thread its packet buffers and AEAD scratch.
 *
 * Data workers come in pairs, an outbound and an inbound one: the lanes. All lanes know all peers
 * and keypairs. What a lane counts for a peer is its own (LANE_PEER), so that no two threads add
 * to one number.
 *
 * Fixed size, never grown, so addresses given to the kernel stay valid. Pages that are never
 * touched cost no memory. Who writes what is stated at each field; fields written by two threads
 * go through Atomics. f64 counters count bytes and packets exactly to 2^53 (9 PB); only the
 * nonce counter needs all 64 bits and is two u32 halves.
 */
export interface MemoryLayout {
  readonly maxPeers: number;
  readonly maxKeypairs: number;
  /** Data threads: 1 in userspace mode; on Linux two for each lane, and control. */
  readonly threads: number;
  /** Outbound halves, and inbound halves, that share the slots: 1 in userspace mode. */
  readonly lanes: number;
}

/**
 * What control tells all data threads of the device (byte offsets into the memory). i32, atomic,
 * 0 = none.
 */
export const DEVICE = {
  /** UDP port of the device's own socket. */
  port: 64,
  /** SO_MARK: what is sent with one is routed by other rules than what the machine itself sends. */
  fwmark: 68,
  /** Interface index of the TUN device, if it is in the namespace of the socket. */
  tunInterface: 72,
  /** 1 once `leaseUntil` counts; see lease.ts. */
  leased: 76,
  /** f64, boot clock, s: from then on no key is used. */
  leaseUntil: 80,
} as const;

/** Fields of a keypair slot (byte offsets). Written by control at installation unless noted. */
export const KEYPAIR = {
  sendKey: 0,
  receiveKey: 32,
  /**
   * u32 pair: next nonce counter to use. Written by outbound only after installation; with several
   * lanes the low half through Atomics, and the high half stays 0.
   */
  sendCounterLow: 64,
  sendCounterHigh: 68,
  /** u32: the receiver index that goes into sent packets (chosen by the other side). */
  remoteIndex: 72,
  /** u32: our receiver index. */
  localIndex: 76,
  /** u32: slot of the peer it belongs to. */
  peer: 80,
  /** i32, atomic: set to 1 by inbound at the first authenticated packet on any lane. */
  confirmed: 84,
  /** f64, ms: no packet is sent or accepted on it from this time on (REJECT_AFTER_TIME). */
  rejectAt: 88,
  /** f64, ms: sending from this time on asks for a handshake (initiator's REKEY_AFTER_TIME; else Infinity). */
  rekeyAt: 96,
  /**
   * f64, ms: last authenticated packet received on it. Written by inbound; with several lanes by
   * all of them, each store whole, so that it is at worst some microseconds older than the newest.
   */
  lastReceivedAt: 104,
  /** i32, atomic: lanes that may still use the send key. The one that takes it to 0 zeroes the key. */
  sendHolders: 112,
  /** i32, atomic: the same for the receive key. */
  receiveHolders: 116,
  length: 128,
} as const;

/** Fields of a peer slot that all lanes share (byte offsets). */
export const PEER = {
  /** i32, atomic: 1 while outbound has asked for a handshake and control has not looked yet. */
  handshakeWanted: 4,
  /** i32, atomic sequence lock of the endpoint: odd while being written. Control and inbound write. */
  endpointSequence: 8,
  /**
   * i32, atomic: 1 + the keypair slot that is to be sent on once the peer was heard on it, 0 for none.
   * Written by control. Outbound looks by itself: an answer to the first packet would be sealed with
   * the old key, which the peer may not have any more, before control had its turn.
   */
  nextKeypair: 12,
  endpoint: 16, // ENDPOINT.length bytes, ends at 64
  length: 64,
} as const;

/**
 * Fields of a peer slot that each lane has for itself (byte offsets); the halves of a lane write
 * different cache lines. Times are f64 ms of the monotonic clock, 0 = never. f64 counters of bytes
 * are of UDP payloads incl. handshake messages.
 */
export const LANE_PEER = {
  /** i32, atomic: keypair slot this lane sends on, or -1. Written by outbound, for others to read. */
  sendKeypair: 0,
  /** Written by outbound. */
  txBytes: 8,
  txPackets: 16,
  /** Last packet with inner data sealed. */
  lastDataSentAt: 24,
  /** Last authenticated packet of any kind sealed: data or keepalive. */
  lastSentAt: 32,
  /** Written by inbound. */
  rxBytes: 64,
  rxPackets: 72,
  /** Last authenticated packet with inner data. */
  lastDataReceivedAt: 80,
  /** Last authenticated packet of any kind. */
  lastReceivedAt: 88,
  length: 128,
} as const;

/** No keypair slot. */
export const NONE = -1;

/** Reasons for which the data path drops a packet; each has a counter per data thread. */
export const DROP = {
  // outbound
  tunMalformed: 0,
  noPeerForDestination: 1,
  noEndpoint: 2,
  stagedOverflow: 3,
  tooLarge: 4,
  udpSendFailed: 5,
  // inbound
  datagramTooShort: 6,
  unknownMessageType: 7,
  unknownReceiverIndex: 8,
  keypairExpired: 9,
  authenticationFailed: 10,
  replayed: 11,
  innerMalformed: 12,
  innerSourceNotAllowed: 13,
  handshakeQueueFull: 14,
  tunWriteFailed: 15,
  udpTruncated: 16,
  // outbound: a handshake was given up while packets waited for it
  stagedGivenUp: 17,
  // outbound: the peer's endpoint is inside the tunnel
  endpointInTunnel: 18,
  // inbound: it came in through the device's own TUN
  arrivedThroughTunnel: 19,
  // inbound: taken in, but the peer's endpoint was not moved to where it came from
  roamingRefused: 20,
} as const;
/** In place of a DROP reason: the packet was sent, staged, kept or written. */
export const NOT_DROPPED = -1;
export type DropReason = keyof typeof DROP;
export const DROP_REASONS = Object.keys(DROP) as DropReason[];

const HEADER_LENGTH = 4096; // page 0 stays unused by data so that offset 0 is never a valid buffer
const COUNTERS_LENGTH = 512; // 64 f64 counters per thread
/** Read and write buffers of one data thread; split up by {@link BUFFER}. */
export const BUFFER_LENGTH = 1 << 20;

/**
 * Areas of a thread's packet buffers (byte offsets from `buffers(thread)`). The outbound and the
 * inbound areas do not overlap, so one thread can run both directions.
 */
export const BUFFER = {
  /** Outbound: the driver reads packets from the TUN device to here (64-byte aligned) ... */
  packet: 64,
  packetLength: 65536,
  /** ... and the virtio-net header, if there is one, to the 10 bytes before. */
  packetHeader: 64 - VNET_HEADER.length,
  /** Inbound: the driver receives datagrams to here. */
  datagrams: 0x11000,
  datagramsLength: 65536,
  /** Inbound: opened packets, until `flush`. */
  opened: 0x22000,
  openedLength: 0x40000,
  /** Inbound: virtio-net headers and iovecs of the packets being coalesced. */
  coalesce: 0x63000,
  coalesceLength: 0x8000,
  /** 16 KB each that belong to the drivers (message headers, addresses, control data). */
  inboundDriver: 0x6b000,
  outboundDriver: 0x6f000,
  driverLength: 0x4000,
  /** Outbound: batches of sealed datagrams, each at most 65,507 bytes and AEAD slack. */
  batch: 0x74000,
  batchStride: 0x11000,
  batchCount: 8,
} as const;
const THREAD_LENGTH = SCRATCH_LENGTH + COUNTERS_LENGTH + BUFFER_LENGTH;
const PAGE = 65536;

/** What a {@link PacketMemory} lies in. */
export interface SharedMemory {
  readonly memory: WebAssembly.Memory;
  /**
   * The replay windows, most of the addresses and untouched by the kernel. In the WebAssembly memory
   * they would count as used, and V8 collects garbage in each thread that is handed more than 64 MB.
   */
  readonly windows: SharedArrayBuffer;
}

const align = (offset: number, to: number): number => Math.ceil(offset / to) * to;

/** Views and offsets over the shared memory. Construct it in each thread from the same memory. */
export class PacketMemory implements SharedMemory {
  readonly layout: MemoryLayout;
  readonly memory: WebAssembly.Memory;
  readonly windows: SharedArrayBuffer;
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly view: DataView;

  private readonly keypairs: number;
  private readonly peers: number;
  private readonly lanePeers: number;
  private readonly replayWindows: Int32Array;
  private readonly threads: number;

  constructor(layout: MemoryLayout, shared?: SharedMemory) {
    this.layout = layout;
    this.keypairs = HEADER_LENGTH;
    this.peers = align(this.keypairs + layout.maxKeypairs * KEYPAIR.length, 4096);
    this.lanePeers = align(this.peers + layout.maxPeers * PEER.length, 4096);
    const lanePeersLength = layout.lanes * layout.maxPeers * LANE_PEER.length;
    this.threads = align(this.lanePeers + lanePeersLength, 4096);
    const pages = Math.ceil((this.threads + layout.threads * THREAD_LENGTH) / PAGE);
    this.memory =
      shared?.memory ?? new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const { buffer } = this.memory;
    if (buffer.byteLength < pages * PAGE) {
      throw new RangeError(
        `packet memory has ${buffer.byteLength} bytes, layout needs ${pages * PAGE}`,
      );
    }
    const windowsLength = layout.maxKeypairs * REPLAY_WINDOW_LENGTH;
    this.windows = shared?.windows ?? new SharedArrayBuffer(windowsLength);
    this.replayWindows = new Int32Array(this.windows, 0, windowsLength >> 2);
    this.u8 = new Uint8Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.view = new DataView(buffer);
  }

  /** Byte offset of a keypair slot. */
  keypair(slot: number): number {
    return this.keypairs + slot * KEYPAIR.length;
  }

  /** Byte offset of a peer slot. */
  peer(slot: number): number {
    return this.peers + slot * PEER.length;
  }

  /** Byte offset of a lane's own part of a peer slot. */
  lanePeer(lane: number, slot: number): number {
    return this.lanePeers + (lane * this.layout.maxPeers + slot) * LANE_PEER.length;
  }

  /** A keypair slot's replay window. */
  replayWindow(slot: number): ReplayWindow {
    return new ReplayWindow(this.replayWindows, slot);
  }

  /** Byte offset of a data thread's AEAD scratch (SCRATCH_LENGTH bytes). */
  scratch(thread: number): number {
    return this.threads + thread * THREAD_LENGTH;
  }

  /** Byte offset of a data thread's f64 counters, indexed by DROP. */
  counters(thread: number): number {
    return this.scratch(thread) + SCRATCH_LENGTH;
  }

  /** Byte offset of a data thread's packet buffers (BUFFER_LENGTH bytes). */
  buffers(thread: number): number {
    return this.counters(thread) + COUNTERS_LENGTH;
  }

  /** Counts dropped packets of one data thread. */
  addDrops(thread: number, reason: number, count: number): void {
    const index = (this.counters(thread) >> 3) + reason;
    this.f64[index] = this.f64[index]! + count;
  }

  /** Sum of one drop counter over all data threads. */
  drops(reason: DropReason): number {
    let sum = 0;
    for (let thread = 0; thread < this.layout.threads; thread++) {
      sum += this.f64[(this.counters(thread) >> 3) + DROP[reason]]!;
    }
    return sum;
  }
}

/** The size of an endpoint must fit between its offset and the end of the slot. */
if (PEER.endpoint + ENDPOINT.length > PEER.length) throw new Error('PEER layout overlaps');
