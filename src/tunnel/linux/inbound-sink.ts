import { DROP, type PacketMemory } from '../../datapath/memory.ts';
import type { InboundSink } from '../../datapath/sinks.ts';
import { ERRNO, errnoName } from '../../io/linux/errno.ts';
import type { NativeBuffer, Syscalls } from '../../io/linux/syscalls.ts';
import { syscalls } from '../../io/linux/syscalls.ts';
import { ENDPOINT } from '../../wire/endpoint.ts';
import { VNET_GSO, VNET_HEADER } from '../../wire/virtio-net.ts';
import type { Report } from './messages.ts';
import type { Signals } from './signals.ts';

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
    if (!signals.takeHandshakePlace()) {
      memory.addDrops(thread, DROP.handshakeQueueFull, 1);
      return;
    }
    report({
      report: 'handshake',
      message: memory.u8.slice(offset, offset + length),
      endpoint: memory.u8.slice(endpointOffset, endpointOffset + ENDPOINT.length),
    });
  }

  keypairConfirmed(slot: number): void {
    this.options.report({ report: 'keypairConfirmed', slot });
  }

  private isSuperPacket(iovecs: number): boolean {
    const { vnetHeader, memory } = this.options;
    if (!vnetHeader) return false;
    const header = Number(memory.view.getBigUint64(iovecs, true)) - this.memoryBase;
    return memory.u8[header + VNET_HEADER.gsoType] !== VNET_GSO.none;
  }
}
