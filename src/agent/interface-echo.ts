import { randomBytes } from 'node:crypto';
import { EchoSocket, echoBuffer } from '../io/linux/echo-socket.ts';
import type { Ping } from './probe.ts';

/**
 * Echoes of a node through the network interface of its tunnel, and through no other. The socket is
 * open only while something is asked: it would keep alive a namespace that the interface was moved to.
 */
export class InterfaceEcho {
  private readonly interfaceName: () => string;
  private readonly source: string;
  private readonly inNamespace: (<T>(body: () => T) => T) | undefined;
  private readonly buffer = echoBuffer();
  private socket: EchoSocket | undefined;
  private asking = 0;
  private closed = false;

  /** `source`: the tunnel address. `inNamespace` runs its argument where the interface is. */
  constructor(interfaceName: () => string, source: string, inNamespace?: <T>(body: () => T) => T) {
    this.interfaceName = interfaceName;
    this.source = source;
    this.inNamespace = inNamespace;
  }

  /** Rejects where asking fails (no rights, interface down or gone), and tries anew the next time. */
  readonly ping: Ping = async (address, timeoutMs) => {
    if (this.closed) throw new Error('the tunnel is closed');
    this.socket ??= this.open();
    const { socket } = this;
    this.asking++;
    try {
      return await socket.ping(address, timeoutMs);
    } catch (error) {
      // The interface may have moved. Who else has asked by this socket fails with it.
      if (this.socket === socket) this.socket = undefined;
      socket.close(error);
      throw error;
    } finally {
      this.asking--;
      if (this.asking === 0) {
        this.socket?.close();
        this.socket = undefined;
      }
    }
  };

  close(): void {
    this.closed = true;
    this.socket?.close();
    this.socket = undefined;
  }

  private open(): EchoSocket {
    const { source, inNamespace } = this;
    return new EchoSocket(
      {
        interfaceName: this.interfaceName(),
        source,
        buffer: this.buffer,
        ...(inNamespace === undefined ? {} : { inNamespace }),
      },
      (length) => randomBytes(length),
    );
  }
}
