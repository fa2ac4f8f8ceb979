import { buildUdp } from './portable/packets.ts';
import type { DatagramCarrier, PacketDevice } from './ports.ts';
import { traceDatagrams, tracePackets } from './trace.ts';

/**
 * Captures in the pcap format (draft-ietf-opsawg-pcap), for tcpdump and Wireshark: what a tunnel
 * without a network interface moves.
 */

/** Microseconds, little-endian. */
const MAGIC = 0xa1b2c3d4;
const FILE_HEADER = { magic: 0, major: 4, minor: 6, snapLength: 16, linkType: 20, length: 24 };
const RECORD = { seconds: 0, microseconds: 4, captured: 8, original: 12, length: 16 };
/** LINKTYPE_RAW: each packet begins with its IPv4 or IPv6 header. */
const LINK_TYPE_RAW = 101;
const SNAP_LENGTH = 65_535;

/** Takes the bytes of a capture, in order: a write to a file, for one. They may be kept. */
export type WriteCapture = (bytes: Uint8Array) => void;

/** Writes IP packets as a capture. */
export class PcapWriter {
  private readonly writeBytes: WriteCapture;
  private readonly now: () => number;

  /** Begins the capture. `now`: ms since 1970. */
  constructor(write: WriteCapture, now: () => number = Date.now) {
    this.writeBytes = write;
    this.now = now;
    const view = new DataView(new ArrayBuffer(FILE_HEADER.length));
    view.setUint32(FILE_HEADER.magic, MAGIC, true);
    view.setUint16(FILE_HEADER.major, 2, true);
    view.setUint16(FILE_HEADER.minor, 4, true);
    view.setUint32(FILE_HEADER.snapLength, SNAP_LENGTH, true);
    view.setUint32(FILE_HEADER.linkType, LINK_TYPE_RAW, true);
    write(new Uint8Array(view.buffer));
  }

  write(packet: Uint8Array): void {
    const captured = Math.min(packet.length, SNAP_LENGTH);
    const record = new Uint8Array(RECORD.length + captured);
    const view = new DataView(record.buffer);
    const now = this.now();
    const seconds = Math.floor(now / 1000);
    view.setUint32(RECORD.seconds, seconds, true);
    view.setUint32(RECORD.microseconds, Math.floor((now - seconds * 1000) * 1000), true);
    view.setUint32(RECORD.captured, captured, true);
    view.setUint32(RECORD.original, packet.length, true);
    record.set(packet.subarray(0, captured), RECORD.length);
    this.writeBytes(record);
  }
}

/** `below`, with all IP packets that pass captured. */
export function capturePackets(
  below: PacketDevice,
  write: WriteCapture,
  now?: () => number,
): PacketDevice {
  const pcap = new PcapWriter(write, now);
  return tracePackets(below, ({ bytes }) => pcap.write(bytes));
}

/**
 * `below`, with all datagrams captured as the UDP packets that they are on the wire. This side's
 * address is left unspecified where it is not known.
 */
export function captureDatagrams(
  below: DatagramCarrier,
  write: WriteCapture,
  now?: () => number,
): DatagramCarrier {
  const pcap = new PcapWriter(write, now);
  return traceDatagrams(below, ({ direction, bytes, endpoint }) => {
    const here = {
      address: endpoint.source ?? new Uint8Array(endpoint.address.length),
      port: below.port,
    };
    const [from, to] = direction === 'out' ? [here, endpoint] : [endpoint, here];
    pcap.write(
      buildUdp({
        source: from.address,
        destination: to.address,
        sourcePort: from.port,
        destinationPort: to.port,
        payload: bytes,
      }),
    );
  });
}
