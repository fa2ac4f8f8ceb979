import { type Endpoint, encodeEndpoint } from '../../wire/endpoint.ts';
import type { DatagramPort, PortChange, PreparedChange } from '../ports.ts';
import { DATAGRAM_AREA_LENGTH, DatagramSender, isSourceError } from './datagrams.ts';
import { NativeBuffer } from './syscalls.ts';
import type { UdpSocket } from './udp.ts';

/** The longest datagram that control sends itself: a handshake initiation has 148 bytes. */
const MAX_DATAGRAM = 1024;

/** A tunnel's UDP port as its control thread uses it; data workers have the descriptors. */
export class LinuxUdpPort implements DatagramPort {
  readonly socket: UdpSocket;
  sendFailures = 0;
  private readonly buffer = new NativeBuffer(DATAGRAM_AREA_LENGTH + MAX_DATAGRAM);
  private readonly sender: DatagramSender;

  constructor(socket: UdpSocket) {
    this.socket = socket;
    this.sender = new DatagramSender(socket.fd, socket.family, this.buffer, 0);
  }

  get port(): number {
    return this.socket.port;
  }

  get fwmark(): number {
    return this.socket.fwmark;
  }

  send(datagram: Uint8Array, endpoint: Endpoint): void {
    const { sender, buffer } = this;
    const { length } = datagram;
    if (length > MAX_DATAGRAM) throw new RangeError(`a datagram of ${length} bytes`);
    buffer.u8.set(datagram, DATAGRAM_AREA_LENGTH);
    encodeEndpoint(buffer.u8, sender.endpoint, endpoint);
    const at = DATAGRAM_AREA_LENGTH;
    let result = sender.send(sender.endpoint, at, length, length, true);
    if (isSourceError(result) && endpoint.source !== undefined) {
      result = sender.send(sender.endpoint, at, length, length, false);
    }
    if (result < 0) this.sendFailures++;
  }

  prepare({ listenPort, fwmark }: PortChange): PreparedChange | undefined {
    const { socket } = this;
    const before = socket.fwmark;
    const marks = fwmark !== undefined && fwmark !== before;
    const moves = listenPort !== undefined && (listenPort === 0 || listenPort !== socket.port);
    if (!marks && !moves) return undefined;
    const port = moves ? socket.preparePort(listenPort, fwmark) : undefined;
    try {
      if (marks) socket.setFwmark(fwmark);
    } catch (error) {
      port?.cancel();
      throw error;
    }
    return {
      commit: () => port?.commit(),
      cancel: () => {
        port?.cancel();
        if (marks) socket.setFwmark(before);
      },
    };
  }

  close(): void {
    this.socket.close();
  }
}
