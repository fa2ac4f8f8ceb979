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

/** The kernel's limits for one call with UDP_SEGMENT: UDP_MAX_SEGMENTS, and what a datagram holds. */
const MAX_SEGMENTS = 64;
const MAX_BATCH = 65_507;

// Own tuning.
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

/** Datagrams of one size to one endpoint; the last may be shorter. */
interface Batch {
  readonly at: number;
  readonly endpointAt: number;
  endpoint: Endpoint | undefined;
  segmentSize: number;
  length: number;
  /** Bytes that have left, where the kernel does not cut. */
  sent: number;
  count: number;
  /** A shorter one is in it, or as much as fits. */
  full: boolean;
}

interface Station {
  readonly socket: UdpSocket;
  readonly sender: DatagramSender;
  readonly receiver: DatagramReceiver;
}

/**
 * A datagram port on system calls, for the process's main thread: what is sent in one turn of the event
 * loop leaves in batches that the kernel cuts into datagrams (UDP_SEGMENT), and comes in as batches, too
 * (UDP_GRO). Needs no rights. It has no socket until the first change asks for one.
 */
export class BatchingUdpPort implements DatagramCarrier {
  readonly fwmark = 0;
  sendFailures = 0;

  private readonly memory = spareMemory.pop() ?? new NativeBuffer(MEMORY_LENGTH);
  private station: Station | undefined;
  private watch: ReadableWatch | undefined;
  private received: (datagram: Uint8Array, source: Endpoint) => void = () => {};
  private readonly free: Batch[] = [];
  /** In the order in which they were begun; datagrams are added to the last one. */
  private readonly pending: Batch[] = [];
  private scheduled: NodeJS.Immediate | undefined;
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
        count: 0,
        full: false,
      });
    }
  }

  get port(): number {
    return this.station?.socket.port ?? 0;
  }

  connect(received: (datagram: Uint8Array, source: Endpoint) => void): void {
    this.received = received;
  }

  send(datagram: Uint8Array, endpoint: Endpoint): void {
    const { length } = datagram;
    if (this.station === undefined || length > MAX_BATCH || endpoint.port === 0) {
      this.sendFailures++;
      return;
    }
    let batch = this.pending.at(-1);
    if (batch === undefined || !fits(batch, length, endpoint)) batch = this.begin(length, endpoint);
    if (batch === undefined) {
      this.sendFailures++;
      return;
    }
    this.memory.u8.set(datagram, batch.at + batch.length);
    batch.length += length;
    batch.count++;
    batch.full = length < batch.segmentSize || batch.count === MAX_SEGMENTS;
    this.scheduled ??= setImmediate(() => {
      this.scheduled = undefined;
      if (this.retry === undefined) this.flush();
    });
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
    clearImmediate(this.scheduled);
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

  /** A batch for a datagram that fits in none that was begun; undefined if all are waiting. */
  private begin(length: number, endpoint: Endpoint): Batch | undefined {
    if (this.free.length === 0 && this.retry === undefined) this.flush();
    const batch = this.free.pop();
    if (batch === undefined) return undefined;
    encodeEndpoint(this.memory.u8, batch.endpointAt, endpoint);
    Object.assign(batch, { endpoint, segmentSize: length, length: 0, sent: 0, count: 0 });
    this.pending.push(batch);
    return batch;
  }

  private flush(): void {
    this.retry = undefined;
    const { station, pending, free } = this;
    if (station === undefined) return;
    for (let batch = pending[0]; batch !== undefined; batch = pending[0]) {
      if (!this.transmit(station.sender, batch)) {
        batch.full = true; // part of it may have left
        this.retry = setTimeout(() => this.flush(), RETRY_AFTER);
        return;
      }
      pending.shift();
      free.push(batch);
    }
  }

  /** False if there is no room for it now. */
  private transmit(sender: DatagramSender, batch: Batch): boolean {
    const { at, length, segmentSize } = batch;
    if (batch.count > 1 && this.segmentation) {
      const result = sendFrom(sender, batch, at, length);
      if (result >= 0) return true;
      if (result === -ERRNO.EAGAIN) return false;
      // EIO: no checksum offload on the way out, and there will not be any. Anything else, such as a
      // path that takes no segments so long: as single datagrams, which may go as fragments.
      if (result === -ERRNO.EIO || result === -ERRNO.EOPNOTSUPP) this.segmentation = false;
    }
    while (batch.sent < length) {
      const size = Math.min(segmentSize, length - batch.sent);
      const result = sendFrom(sender, batch, at + batch.sent, size);
      if (result === -ERRNO.EAGAIN) return false;
      if (result < 0) this.sendFailures++;
      batch.sent += size;
    }
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
      const { segmentSize } = receiver;
      for (let at = RECEIVED; at < RECEIVED + length; at += segmentSize) {
        const end = Math.min(at + segmentSize, RECEIVED + length);
        this.received(u8.subarray(at, end), source);
      }
    }
    setImmediate(() => this.receive(station));
  }
}

function fits(batch: Batch, length: number, endpoint: Endpoint): boolean {
  return (
    !batch.full &&
    length > 0 &&
    length <= batch.segmentSize &&
    batch.length + length <= MAX_BATCH &&
    isSame(batch.endpoint!, endpoint)
  );
}

function isSame(a: Endpoint, b: Endpoint): boolean {
  return (
    a === b ||
    (a.port === b.port &&
      a.scope === b.scope &&
      a.sourceInterface === b.sourceInterface &&
      isEqual(a.address, b.address) &&
      isEqual(a.source, b.source))
  );
}

function isEqual(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Without the source address if that is no longer ours. Bytes sent or a negative errno. */
function sendFrom(
  sender: DatagramSender,
  { endpointAt, endpoint, segmentSize }: Batch,
  at: number,
  length: number,
): number {
  const result = sender.send(endpointAt, at, length, segmentSize, true);
  if (!isSourceError(result) || endpoint!.source === undefined) return result;
  return sender.send(endpointAt, at, length, segmentSize, false);
}
