import type { EndpointRules } from '../../datapath/endpoint-rules.ts';
import { DROP, type PacketMemory } from '../../datapath/memory.ts';
import { readEndpoint } from '../../datapath/peer-endpoint.ts';
import type { OutboundSink } from '../../datapath/sinks.ts';
import { POLLOUT } from '../../io/linux/constants.ts';
import { type DatagramSender, isSourceError } from '../../io/linux/datagrams.ts';
import { ERRNO, errnoName } from '../../io/linux/errno.ts';
import { NativeBuffer, type Syscalls, syscalls } from '../../io/linux/syscalls.ts';
import { ENDPOINT } from '../../wire/endpoint.ts';
import type { Report } from './messages.ts';

/** While the socket's send buffer is full, wait this long (ms) for room, this often; then drop. */
const ROOM_TIMEOUT = 10;
const ROOM_ATTEMPTS = 20;

export interface UdpSinkOptions {
  readonly memory: PacketMemory;
  readonly thread: number;
  readonly endpointRules: EndpointRules;
  readonly sender: DatagramSender;
  readonly udpFd: number;
  /** Send batches in one call (UDP_SEGMENT). */
  readonly segmentation: boolean;
  readonly stopped: () => boolean;
  readonly report: (report: Report) => void;
}

/** Where outbound's datagrams go: the UDP socket. What the kernel refuses is done otherwise. */
export class UdpSink implements OutboundSink {
  private readonly options: UdpSinkOptions;
  private readonly calls: Syscalls = syscalls();
  private readonly pollEntry = new NativeBuffer(8);
  private readonly pollEntryAt = this.pollEntry.at(0);
  private segmentation: boolean;

  constructor(options: UdpSinkOptions) {
    this.options = options;
    this.segmentation = options.segmentation;
    this.pollEntry.view.setInt32(0, options.udpFd, true);
    this.pollEntry.view.setInt16(4, POLLOUT, true);
  }

  handshakeWanted(peer: number): void {
    this.options.report({ report: 'handshakeWanted', peer });
  }

  sendDatagrams(peer: number, offset: number, length: number, segmentSize: number): void {
    const { memory, sender } = this.options;
    if (!readEndpoint(memory, peer, sender.endpoint)) {
      this.drop(DROP.noEndpoint, Math.ceil(length / segmentSize));
      return;
    }
    if (this.options.endpointRules.isRoutedIntoTunnel(sender.endpoint)) {
      this.drop(DROP.endpointInTunnel, Math.ceil(length / segmentSize));
      return;
    }
    if (length <= segmentSize || this.segmentation) {
      const result = this.send(offset, length, segmentSize);
      if (result >= 0) return;
      if (length <= segmentSize) {
        this.drop(DROP.udpSendFailed, 1);
        return;
      }
      // EIO: no checksum offload for this on the way out, and there will not be any. EINVAL,
      // EMSGSIZE: segments longer than this path takes, which go as fragments one by one.
      if (result === -ERRNO.EIO || result === -ERRNO.EOPNOTSUPP) {
        this.segmentation = false;
        const error = errnoName(-result);
        this.options.report({ report: 'offloadRefused', offload: 'UDP_SEGMENT', error });
      }
    }
    for (let at = 0; at < length; at += segmentSize) {
      const size = Math.min(segmentSize, length - at);
      if (this.send(offset + at, size, size) < 0) this.drop(DROP.udpSendFailed, 1);
    }
  }

  /** Waits for room where there is none, and forgets the source address if it is no longer ours. */
  private send(offset: number, length: number, segmentSize: number): number {
    const { sender, memory } = this.options;
    let result = this.sendWaiting(offset, length, segmentSize, true);
    if (result >= 0 || !isSourceError(result)) return result;
    if (memory.view.getUint16(sender.endpoint + ENDPOINT.hasSource, true) === 0) return result;
    result = this.sendWaiting(offset, length, segmentSize, false);
    return result;
  }

  private sendWaiting(
    offset: number,
    length: number,
    segmentSize: number,
    sticky: boolean,
  ): number {
    const { sender, stopped } = this.options;
    let result = sender.send(sender.endpoint, offset, length, segmentSize, sticky);
    for (let attempt = 0; attempt < ROOM_ATTEMPTS; attempt++) {
      if (result !== -ERRNO.EAGAIN && result !== -ERRNO.EINTR) break;
      if (stopped()) break;
      this.calls.poll(this.pollEntryAt, 1n, ROOM_TIMEOUT);
      result = sender.send(sender.endpoint, offset, length, segmentSize, sticky);
    }
    return result;
  }

  private drop(reason: number, count: number): void {
    this.options.memory.addDrops(this.options.thread, reason, count);
  }
}
