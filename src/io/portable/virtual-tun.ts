import { monotonicNow } from '../../ground/clock.ts';
import type { DeviceState, PacketDevice } from '../ports.ts';
import {
  buildEcho,
  buildUdp,
  type Echo,
  isTo,
  parseEcho,
  parseUdp,
  type UdpDatagram,
} from './packets.ts';

/** Own tuning: payload of a ping as ping(8) sends it, and how long it is waited for. */
const PING_BYTES = 56;
const PING_TIMEOUT = 5000;

export interface VirtualTunOptions {
  /** Addresses of this end, 4 or 16 bytes each: it answers ICMP echo requests to them. */
  readonly addresses: readonly Uint8Array[];
  /** A label; default 'wg0'. */
  readonly name?: string;
  /** Bytes of an IP packet, default 1420. */
  readonly mtu?: number;
  /** ms, monotonic. */
  readonly now?: () => number;
}

export interface PingOptions {
  /** One of this end's addresses; by default the first of the destination's family. */
  readonly source?: Uint8Array;
  /** Bytes of payload, default 56. */
  readonly size?: number;
  /** ms, default 5000. */
  readonly timeout?: number;
}

/** Called with a datagram to one's port; its arrays are views that are valid during the call. */
export type UdpListener = (datagram: UdpDatagram) => void;

/** A UDP port of this end. */
export interface UdpSocket {
  /** To an address of the tunnel, 4 or 16 bytes, from this end's first of that family. */
  send(payload: Uint8Array, to: { readonly destination: Uint8Array; readonly port: number }): void;
  close(): void;
}

export type PacketListener = (packet: Uint8Array) => void;

interface Waiting {
  readonly destination: Uint8Array;
  readonly sentAt: number;
  readonly done: (roundTrip: number | undefined) => void;
}

/**
 * The inner end of a tunnel without a TUN device: IP packets in and out as callbacks. It answers
 * ICMP echo requests to its addresses, and hands over UDP datagrams to the ports that are somebody's.
 */
export class VirtualTun implements PacketDevice {
  readonly state: DeviceState;
  private readonly options: VirtualTunOptions;
  private readonly now: () => number;
  private readonly listeners = new Set<PacketListener>();
  private readonly ports = new Map<number, UdpListener>();
  private readonly waiting = new Map<number, Waiting>();
  private pings = 0;
  private intoTunnel: (packet: Uint8Array) => void = () => {};

  constructor(options: VirtualTunOptions) {
    this.options = options;
    this.now = options.now ?? monotonicNow;
    const { name = 'wg0', mtu = 1420 } = options;
    this.state = { name, mtu, up: true, index: 0 };
  }

  connect(intoTunnel: (packet: Uint8Array) => void): void {
    this.intoTunnel = intoTunnel;
  }

  /** Sends an IP packet into the tunnel. */
  send(packet: Uint8Array): void {
    this.intoTunnel(packet);
  }

  /**
   * Called with every IP packet that came out of the tunnel and was not answered here. The packet
   * is a view that is valid during the call. Returns a function that stops it.
   */
  onPacket(listener: PacketListener): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Answers UDP datagrams to `port` with what they carry. Returns a function that stops it. */
  echoUdp(port: number): () => void {
    const echo = ({ source, destination, sourcePort, payload }: UdpDatagram) =>
      this.send(
        buildUdp({
          source: destination,
          destination: source,
          sourcePort: port,
          destinationPort: sourcePort,
          payload,
        }),
      );
    return this.bindUdp(port, echo).close;
  }

  /** UDP datagrams to `port` of this end's addresses go to `listener`. Throws if they go to another. */
  bindUdp(port: number, listener: UdpListener): UdpSocket {
    if (this.ports.has(port)) throw new RangeError(`UDP port ${port} inside the tunnel is taken`);
    this.ports.set(port, listener);
    return {
      send: (payload, { destination, port: destinationPort }) => {
        const source = this.sourceFor(destination);
        this.send(buildUdp({ source, destination, sourcePort: port, destinationPort, payload }));
      },
      close: () => {
        if (this.ports.get(port) === listener) this.ports.delete(port);
      },
    };
  }

  deliver(packet: Uint8Array): void {
    if (this.isForUs(packet) && (this.answerEcho(packet) || this.handOver(packet))) return;
    for (const listener of this.listeners) listener(packet);
  }

  /**
   * Sends an ICMP echo request through the tunnel. Resolves with the round trip in ms, or with
   * undefined if no answer came in time.
   */
  ping(destination: Uint8Array, options: PingOptions = {}): Promise<number | undefined> {
    const source = options.source ?? this.sourceFor(destination);
    const number = this.pings++ % 2 ** 32;
    const payload = new Uint8Array(options.size ?? PING_BYTES);
    const packet = buildEcho({
      kind: 'request',
      source,
      destination,
      identifier: number >>> 16,
      sequence: number & 0xffff,
      payload: payload.map((_, at) => at & 0xff),
    });
    return new Promise((resolve) => {
      const done = (roundTrip: number | undefined) => {
        this.waiting.delete(number);
        clearTimeout(timer);
        resolve(roundTrip);
      };
      const timer = setTimeout(done, options.timeout ?? PING_TIMEOUT, undefined);
      this.waiting.set(number, { destination, sentAt: this.now(), done });
      this.send(packet);
    });
  }

  /** Ends the pings that wait for an answer. */
  close(): void {
    for (const { done } of this.waiting.values()) done(undefined);
    this.listeners.clear();
  }

  private sourceFor(destination: Uint8Array): Uint8Array {
    const source = this.options.addresses.find((own) => own.length === destination.length);
    if (source === undefined)
      throw new TypeError('no own address of the family of the destination');
    return source;
  }

  private isForUs(packet: Uint8Array): boolean {
    for (const own of this.options.addresses) if (isTo(packet, own)) return true;
    return false;
  }

  private answerEcho(packet: Uint8Array): boolean {
    const echo = parseEcho(packet);
    if (echo === undefined) return false;
    if (echo.kind === 'reply') return this.finishPing(echo);
    this.send(
      buildEcho({
        ...echo,
        kind: 'reply',
        source: echo.destination,
        destination: echo.source,
      }),
    );
    return true;
  }

  private finishPing(reply: Echo): boolean {
    const ping = this.waiting.get(((reply.identifier << 16) | reply.sequence) >>> 0);
    if (ping === undefined || !isEqual(ping.destination, reply.source)) return false;
    ping.done(this.now() - ping.sentAt);
    return true;
  }

  private handOver(packet: Uint8Array): boolean {
    if (this.ports.size === 0) return false;
    const datagram = parseUdp(packet);
    const listener = datagram && this.ports.get(datagram.destinationPort);
    listener?.(datagram!);
    return listener !== undefined;
  }
}

/** Of public addresses: no need for constant time. */
function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
