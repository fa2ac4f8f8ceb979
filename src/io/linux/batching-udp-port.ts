import { decodeEndpoint, ENDPOINT, type Endpoint, encodeEndpoint } from '../../wire/endpoint.ts';
import { refuseFwmark } from '../portable/udp-port.ts';
import type { DatagramCarrier, PortChange, PreparedChange } from '../ports.ts';
import {
  DATAGRAM_AREA_LENGTH,
  DatagramReceiver,
  DatagramSender,
  isSourceError,
} from './datagrams.ts';
import { ERRNO } from './errno.ts';
import { type ReadableWatch, startWatching, watchReadable } from './readable-watch.ts';
import { NativeBuffer } from './syscalls.ts';
import { UdpSocket } from './udp.ts';

/** What one datagram holds, and so one call with UDP_SEGMENT. */
const MAX_BATCH = 65_507;

// Own tuning.
/** Batches that wait for a full socket. */
const BATCHES = 16;
/** Receive calls before the event loop has a turn. */
const RECEIVES_PER_TURN = 8;
/** ms until a full socket is tried again. */
const RETRY_AFTER = 1;

/** Places in a port's memory. */
const SENDER = 0;
const RECEIVER = DATAGRAM_AREA_LENGTH;
const ENDPOINTS = 4096;
const RECEIVED = 2 * 4096;
const RECEIVED_LENGTH = 65_536;
const SENT = RECEIVED + RECEIVED_LENGTH;
const MEMORY_LENGTH = SENT + BATCHES * RECEIVED_LENGTH;

/** Memory that the kernel was given is never freed, so ports hand theirs on. */
const spareMemory: NativeBuffer[] = [];

/** A batch that the socket has no room for. */
interface Waiting {
  readonly at: number;
  readonly endpointAt: number;
  endpoint: Endpoint | undefined;
  segmentSize: number;
  length: number;
  /** Bytes that have left, where the kernel does not cut. */
  sent: number;
}

interface Station {
  readonly socket: UdpSocket;
  readonly sender: DatagramSender;
  readonly receiver: DatagramReceiver;
}

/**
 * A datagram port on system calls, for the process's main thread: the kernel cuts batches into datagrams
 * (UDP_SEGMENT) and joins those that come in (UDP_GRO). Needs no rights. It has no socket until the
 * first change asks for one.
 */
export class BatchingUdpPort implements DatagramCarrier {
  readonly fwmark = 0;
  sendFailures = 0;

  private readonly memory = spareMemory.pop() ?? new NativeBuffer(MEMORY_LENGTH);
  private station: Station | undefined;
  private watch: ReadableWatch | undefined;
  private received: Parameters<DatagramCarrier['connect']>[0] = () => {};
  private readonly free: Waiting[] = [];
  private readonly waiting: Waiting[] = [];
  private retry: NodeJS.Timeout | undefined;
  private segmentation = true;
  private closed = false;

  constructor() {
    for (let i = 0; i < BATCHES; i++) {
      this.free.push({
        at: SENT + i * RECEIVED_LENGTH,
        endpointAt: ENDPOINTS + i * ENDPOINT.length,
        endpoint: undefined,
        segmentSize: 0,
        length: 0,
        sent: 0,
      });
    }
  }

  get port(): number {
    return this.station?.socket.port ?? 0;
  }

  connect(received: Parameters<DatagramCarrier['connect']>[0]): void {
    this.received = received;
  }

  send(bytes: Uint8Array, segmentSize: number, endpoint: Endpoint): void {
    const { length } = bytes;
    const batch =
      this.station === undefined || length > MAX_BATCH || endpoint.port === 0
        ? undefined
        : this.free.pop();
    if (batch === undefined) {
      this.sendFailures += Math.max(1, Math.ceil(length / segmentSize));
      return;
    }
    this.memory.u8.set(bytes, batch.at);
    encodeEndpoint(this.memory.u8, batch.endpointAt, endpoint);
    batch.endpoint = endpoint;
    batch.segmentSize = segmentSize;
    batch.length = length;
    batch.sent = 0;
    this.waiting.push(batch);
    if (this.retry === undefined) this.flush();
  }

  prepare({ listenPort, fwmark }: PortChange): Promise<PreparedChange> | undefined {
    refuseFwmark(fwmark);
    if (listenPort === undefined || (listenPort !== 0 && listenPort === this.port)) {
      return undefined;
    }
    return this.open(listenPort);
  }

  private async open(port: number): Promise<PreparedChange> {
    await startWatching();
    const socket = new UdpSocket({ port, fwmark: 0, gro: true });
    return {
      commit: async () => {
        this.flush();
        const before = this.leave();
        this.use(socket);
        await before;
      },
      cancel: () => socket.close(),
    };
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.flush();
    clearTimeout(this.retry);
    await this.leave();
    this.memory.u8.fill(0);
    spareMemory.push(this.memory);
  }

  private use(socket: UdpSocket): void {
    const { fd, family } = socket;
    const { memory } = this;
    const station = {
      socket,
      sender: new DatagramSender(fd, family, memory, SENDER),
      receiver: new DatagramReceiver(fd, family, memory, RECEIVER, RECEIVED, RECEIVED_LENGTH),
    };
    this.station = station;
    this.watch = watchReadable(fd, () => this.receive(station));
  }

  /** Gives the present socket up. */
  private async leave(): Promise<void> {
    const { station, watch } = this;
    this.station = undefined;
    await watch?.close();
    station?.socket.close();
  }

  private flush(): void {
    this.retry = undefined;
    const { station, waiting, free } = this;
    if (station === undefined) return;
    for (let batch = waiting[0]; batch !== undefined; batch = waiting[0]) {
      if (!this.transmit(station.sender, batch)) {
        this.retry = setTimeout(() => this.flush(), RETRY_AFTER);
        return;
      }
      waiting.shift();
      free.push(batch);
    }
  }

  /** False if there is no room for it now. */
  private transmit(sender: DatagramSender, batch: Waiting): boolean {
    const { at, length, segmentSize } = batch;
    if (length > segmentSize && batch.sent === 0 && this.segmentation) {
      const result = sendFrom(sender, batch, at, length);
      if (result >= 0) return true;
      if (result === -ERRNO.EAGAIN) return false;
      // EIO: no checksum offload on the way out, and there will not be any. Anything else, such as a
      // path that takes no segments so long: as single datagrams, which may go as fragments.
      if (result === -ERRNO.EIO || result === -ERRNO.EOPNOTSUPP) this.segmentation = false;
    }
    do {
      const size = Math.min(segmentSize, length - batch.sent);
      const result = sendFrom(sender, batch, at + batch.sent, size);
      if (result === -ERRNO.EAGAIN) return false;
      if (result < 0) this.sendFailures++;
      batch.sent += size;
    } while (batch.sent < length); // at least once: an empty datagram is one, too
    return true;
  }

  private receive(station: Station): void {
    const { receiver } = station;
    const { u8 } = this.memory;
    for (let receives = 0; receives < RECEIVES_PER_TURN; receives++) {
      if (this.station !== station) return; // a datagram had this port closed, or moved
      const length = receiver.receive();
      if (length === -ERRNO.EAGAIN) {
        this.watch!.arm();
        return;
      }
      if (length < 0 || receiver.truncated) continue; // an ICMP error of an earlier datagram, or EINTR
      const source = decodeEndpoint(u8, receiver.endpoint)!;
      this.received(u8.subarray(RECEIVED, RECEIVED + length), receiver.segmentSize, source);
    }
    setImmediate(() => this.receive(station));
  }
}

/** Without the source address if that is no longer ours. Bytes sent or a negative errno. */
function sendFrom(
  sender: DatagramSender,
  { endpointAt, endpoint, segmentSize }: Waiting,
  at: number,
  length: number,
): number {
  const result = sender.send(endpointAt, at, length, segmentSize, true);
  if (!isSourceError(result) || endpoint!.source === undefined) return result;
  return sender.send(endpointAt, at, length, segmentSize, false);
}
