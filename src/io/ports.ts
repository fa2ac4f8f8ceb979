import type { Endpoint } from '../wire/endpoint.ts';

/**
 * The two ports below a tunnel: where its IP packets come from and go to, and what carries its
 * datagrams. The driver (`tunnel/driver.ts`) needs no more of them than `IpDevice` and
 * `DatagramPort`. Where data workers move packets by descriptors that is all; where packets pass
 * through this thread as arrays, the ports are a `PacketDevice` and a `DatagramCarrier`.
 */

/** State of an interface as far as a tunnel follows it. */
export interface DeviceState {
  readonly name: string;
  /** Bytes of an IP packet. */
  readonly mtu: number;
  readonly up: boolean;
  /** Interface index; 0 if the system has no such interface, or has it in another namespace. */
  readonly index: number;
}

export interface IpDevice {
  readonly state: DeviceState;
  close(): void;
}

export interface PacketDevice extends IpDevice {
  /** Called once: `intoTunnel` takes IP packets that go into the tunnel. It copies them. */
  connect(intoTunnel: (packet: Uint8Array) => void): void;
  /** An IP packet that came out of the tunnel; a view, valid during the call. */
  deliver(packet: Uint8Array): void;
}

/** What a change asks of the socket. A field that is left out stays as it is. */
export interface PortChange {
  /** 0: one that the system chooses. */
  readonly listenPort?: number | undefined;
  /** SO_MARK, 0 = none. */
  readonly fwmark?: number | undefined;
}

/** A change that has been made ready beside what is in use. One of the two is called, once. */
export interface PreparedChange {
  /** Moves over; cannot fail. A promise if something of what was before has yet to end. */
  commit(): Promise<void> | void;
  cancel(): Promise<void> | void;
}

export interface DatagramPort {
  /** The local port; 0 while there is none. */
  readonly port: number;
  readonly fwmark: number;
  /** Datagrams that the system refused to send. */
  readonly sendFailures: number;
  /**
   * Does everything about a change that can fail. Undefined if there is nothing to change. Throws or
   * rejects, with nothing changed, with whatever error the system gave, or a RangeError for what this
   * port cannot do at all.
   */
  prepare(change: PortChange): Promise<PreparedChange> | PreparedChange | undefined;
  close(): Promise<void> | void;
}

/**
 * Datagrams come and go in batches: of one sender or to one receiver, behind each other, all of `segmentSize`
 * bytes but the last, which may be shorter. One datagram is a batch of its own length.
 */
export interface DatagramCarrier extends DatagramPort {
  /** Sends a batch of at most 64, whose memory may be used again at once. What cannot be sent is counted. */
  send(batch: Uint8Array, segmentSize: number, endpoint: Endpoint): void;
  /** Called once, before the first `prepare`. `received` takes batches, views valid during the call. */
  connect(received: (batch: Uint8Array, segmentSize: number, source: Endpoint) => void): void;
}
