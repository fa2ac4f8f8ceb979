import type { Endpoint } from '../wire/endpoint.ts';
import type { DatagramCarrier, PacketDevice } from './ports.ts';

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
      below.connect((bytes, endpoint) => {
        listener({ direction: 'in', bytes, endpoint });
        received(bytes, endpoint);
      });
    },
    send(bytes, endpoint) {
      listener({ direction: 'out', bytes, endpoint });
      below.send(bytes, endpoint);
    },
    prepare: (change) => below.prepare(change),
    close: () => below.close(),
  };
}
