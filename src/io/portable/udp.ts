import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { formatAddress, parseAddress } from '../../wire/address-text.ts';
import type { Endpoint } from '../../wire/endpoint.ts';
import { scopeOf } from './scope.ts';

/** Handed to the system before it must have taken some; beyond it datagrams are dropped and counted. */
const MAX_UNSENT_BYTES = 4 << 20;
/** Asked of the system for each direction; it may give less. */
const BUFFER_BYTES = 4 << 20;
/** Attempts at finding a port that is free in both families. */
const PORT_ATTEMPTS = 16;

/** A UDP transport on node:dgram: IPv4 and, where the system has it, IPv6, on the same port. */
export class PortableUdp {
  readonly port: number;
  /** Datagrams that the system refused or that found the queue full. */
  sendFailures = 0;

  private readonly v4: Socket;
  private readonly v6: Socket | undefined;
  private unsent = 0;
  private closed = false;

  private constructor(v4: Socket, v6: Socket | undefined) {
    this.v4 = v4;
    this.v6 = v6;
    this.port = v4.address().port;
  }

  /** Binds to all addresses; port 0 takes any. Rejects with the system's error. */
  static async open(
    port: number,
    onDatagram: (datagram: Uint8Array, source: Endpoint) => void,
  ): Promise<PortableUdp> {
    for (let attempt = 1; ; attempt++) {
      const v4 = await bound('udp4', port);
      try {
        const v6 = await boundIfSupported(v4.address().port);
        const udp = new PortableUdp(v4, v6);
        for (const socket of [v4, v6]) {
          socket?.on('message', (datagram, info) => onDatagram(datagram, endpointOf(info)));
          // An ICMP error for an earlier datagram: nothing that the sender of this one can use.
          socket?.on('error', () => {
            udp.sendFailures++;
          });
        }
        return udp;
      } catch (error) {
        v4.close();
        if (port !== 0 || attempt === PORT_ATTEMPTS) throw error;
      }
    }
  }

  /** Copies the datagram; it may be reused at once. */
  send(datagram: Uint8Array, endpoint: Endpoint): void {
    const socket = endpoint.family === 4 ? this.v4 : this.v6;
    const isFull = this.unsent + datagram.length > MAX_UNSENT_BYTES;
    if (socket === undefined || isFull || this.closed || endpoint.port === 0) {
      this.sendFailures++;
      return;
    }
    const copy = new Uint8Array(datagram);
    this.unsent += copy.length;
    const scope = endpoint.scope === 0 ? '' : `%${endpoint.scope}`;
    socket.send(copy, endpoint.port, formatAddress(endpoint.address) + scope, (error) => {
      this.unsent -= copy.length;
      if (error) this.sendFailures++;
    });
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await Promise.all(
      [this.v4, this.v6].map((socket) => socket && new Promise<void>((done) => socket.close(done))),
    );
  }
}

async function bound(type: 'udp4' | 'udp6', port: number): Promise<Socket> {
  const socket = createSocket({
    type,
    ipv6Only: type === 'udp6',
    // Addresses are numeric; the default lookup would put off every datagram by a tick.
    lookup: (host, _options, done) => done(null, host, type === 'udp4' ? 4 : 6),
  });
  const listening = once(socket, 'listening');
  socket.bind(port);
  await listening;
  try {
    socket.setRecvBufferSize(BUFFER_BYTES);
    socket.setSendBufferSize(BUFFER_BYTES);
  } catch {} // as large as the system allows, then
  return socket;
}

async function boundIfSupported(port: number): Promise<Socket | undefined> {
  try {
    return await bound('udp6', port);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAFNOSUPPORT') return undefined;
    if ((error as NodeJS.ErrnoException).code === 'EADDRNOTAVAIL') return undefined;
    throw error;
  }
}

function endpointOf(info: RemoteInfo): Endpoint {
  const [text, scope] = info.address.split('%');
  const address = parseAddress(text!)!;
  return {
    family: address.length === 4 ? 4 : 6,
    address,
    port: info.port,
    scope: scope === undefined ? 0 : scopeIndex(scope),
  };
}

/** Link-local sources come with the name of the interface (on Windows with its index). */
function scopeIndex(scope: string): number {
  return /^\d+$/.test(scope) ? Number(scope) : (scopeOf(scope) ?? 0);
}
