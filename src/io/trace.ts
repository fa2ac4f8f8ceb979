import type { Endpoint } from '../wire/endpoint.ts';
import type { DatagramCarrier, PacketDevice } from './ports.ts';
import { segmentsOf } from './segments.ts';

/** Whether it goes from this machine to a peer or comes from one. */
export type Direction = 'out' | 'in';

/** An IP packet at the inner end of a tunnel. `bytes` is a view, valid during the call. */
export interface TracedPacket {
  readonly direction: Direction;
  readonly bytes: Uint8Array;
}

/** A datagram at the outer end; `endpoint` is the peer's. */
export interface TracedDatagram extends TracedPacket {
  readonly endpoint: Endpoint;
}

/** `below`, with `listener` told of each packet before it goes on. */
export function tracePackets(
  below: PacketDevice,
  listener: (packet: TracedPacket) => void,
): PacketDevice {
  return {
    get state() {
      return below.state;
    },
    connect(intoTunnel) {
      below.connect((bytes) => {
        listener({ direction: 'out', bytes });
        intoTunnel(bytes);
      });
    },
    deliver(bytes) {
      listener({ direction: 'in', bytes });
      below.deliver(bytes);
    },
    close: () => below.close(),
  };
}

/** `below`, with `listener` told of each datagram before it goes on. */
export function traceDatagrams(
  below: DatagramCarrier,
  listener: (datagram: TracedDatagram) => void,
): DatagramCarrier {
  const tell = (
    direction: Direction,
    batch: Uint8Array,
    segmentSize: number,
    endpoint: Endpoint,
  ): void => {
    for (const bytes of segmentsOf(batch, segmentSize)) listener({ direction, bytes, endpoint });
  };
  return {
    get port() {
      return below.port;
    },
    get fwmark() {
      return below.fwmark;
    },
    get sendFailures() {
      return below.sendFailures;
    },
    connect(received) {
      below.connect((batch, segmentSize, source) => {
        tell('in', batch, segmentSize, source);
        received(batch, segmentSize, source);
      });
    },
    send(batch, segmentSize, endpoint) {
      tell('out', batch, segmentSize, endpoint);
      below.send(batch, segmentSize, endpoint);
    },
    prepare: (change) => below.prepare(change),
    close: () => below.close(),
  };
}
