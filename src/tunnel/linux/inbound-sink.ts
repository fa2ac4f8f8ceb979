import { DROP, KEYPAIR, LANE_PEER, type PacketMemory } from '../../datapath/memory.ts';
import type { InboundSink } from '../../datapath/sinks.ts';
import { ERRNO, errnoName } from '../../io/linux/errno.ts';
import type { NativeBuffer, Syscalls } from '../../io/linux/syscalls.ts';
import { syscalls } from '../../io/linux/syscalls.ts';
import { ENDPOINT } from '../../wire/endpoint.ts';
import { VNET_GSO, VNET_HEADER } from '../../wire/virtio-net.ts';
import { HandshakeShares } from './handshake-shares.ts';
import type { Report } from './messages.ts';
import type { Signals } from './signals.ts';

/** How long (ms) to wait at most for a confirmed keypair to be sent on, and how often to look. */
const SWITCH_TIMEOUT = 5;
const SWITCH_INTERVAL = 0.05;

export interface TunSinkOptions {
  readonly memory: PacketMemory;
  readonly native: NativeBuffer;
  readonly thread: number;
  readonly tunFd: number;
  readonly vnetHeader: boolean;
  readonly signals: Signals;
  readonly report: (report: Report) => void;
}

/** Where inbound's packets go (the TUN device) and its handshake messages (control). */
export class TunSink implements InboundSink {
  /** The kernel refused a super-packet: coalescing is to be switched off. */
  coalescingRefused = false;
  private readonly options: TunSinkOptions;
  private readonly calls: Syscalls = syscalls();
  private readonly memoryBase: number;
  private readonly shares = new HandshakeShares();
  /** Addresses of the iovec lists, each made once: there are as many as places for such a list. */
  private readonly addresses = new Map<number, bigint>();

  constructor(options: TunSinkOptions) {
    this.options = options;
    this.memoryBase = options.native.address;
  }

  writePacket(iovecs: number, count: number, _length: number): void {
    let address = this.addresses.get(iovecs);
    if (address === undefined) {
      address = this.options.native.at(iovecs);
      this.addresses.set(iovecs, address);
    }
    let result = this.calls.writev(this.options.tunFd, address, count);
    while (result === -ERRNO.EINTR) result = this.calls.writev(this.options.tunFd, address, count);
    if (result >= 0) return;
    this.options.memory.addDrops(this.options.thread, DROP.tunWriteFailed, 1);
    if (result === -ERRNO.EINVAL && !this.coalescingRefused && this.isSuperPacket(iovecs)) {
      this.coalescingRefused = true; // acted on after this call into the data path has returned
      const error = errnoName(-result);
      this.options.report({ report: 'offloadRefused', offload: 'coalescing', error });
    }
  }

  handshake(offset: number, length: number, endpointOffset: number): void {
    const { memory, signals, thread, report } = this.options;
    const isCrowded = signals.isQueueHalfFull;
    const hasShare = !isCrowded || this.shares.take(memory.u8, endpointOffset, performance.now());
    if (!hasShare || !signals.takeHandshakePlace()) {
      memory.addDrops(thread, DROP.handshakeQueueFull, 1);
      return;
    }
    report({
      report: 'handshake',
      message: memory.u8.slice(offset, offset + length),
      endpoint: memory.u8.slice(endpointOffset, endpointOffset + ENDPOINT.length),
    });
  }

  /**
   * The packet that confirmed the keypair is not delivered before packets are sent on it, or the
   * answer to it might leave on a keypair that the peer, restarted, has no more. Control switches
   * over; this thread sees it in memory, for each lane. Once per handshake, some tens of microseconds.
   */
  keypairConfirmed(slot: number): void {
    const { memory, report, signals } = this.options;
    report({ report: 'keypairConfirmed', slot });
    const peer = memory.u32[(memory.keypair(slot) + KEYPAIR.peer) >> 2]!;
    const deadline = performance.now() + SWITCH_TIMEOUT;
    for (let lane = 0; lane < memory.layout.lanes; ) {
      const sendingAt = (memory.lanePeer(lane, peer) + LANE_PEER.sendKeypair) >> 2;
      const sending = Atomics.load(memory.i32, sendingAt);
      if (signals.stopped || performance.now() > deadline) return;
      if (sending === slot) lane++;
      else Atomics.wait(memory.i32, sendingAt, sending, SWITCH_INTERVAL);
    }
  }

  private isSuperPacket(iovecs: number): boolean {
    const { vnetHeader, memory } = this.options;
    if (!vnetHeader) return false;
    const header = Number(memory.view.getBigUint64(iovecs, true)) - this.memoryBase;
    return memory.u8[header + VNET_HEADER.gsoType] !== VNET_GSO.none;
  }
}
