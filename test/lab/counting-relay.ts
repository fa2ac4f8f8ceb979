import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Between a client and a TCP server on this machine: how many bytes the server sent, whatever they were. */
export class CountingRelay {
  bytes = 0;
  private readonly open = new Set<Socket>();
  private readonly server: Server;

  private constructor(port: number) {
    this.server = createServer((client) => {
      const server = connect(port, '127.0.0.1');
      server.on('data', (chunk: Buffer) => {
        this.bytes += chunk.length;
      });
      for (const [socket, other] of [
        [client, server],
        [server, client],
      ] as const) {
        this.open.add(socket);
        socket.on('error', () => other.destroy());
        socket.on('close', () => {
          this.open.delete(socket);
          other.destroy();
        });
        socket.pipe(other);
      }
    });
  }

  static async to(port: number): Promise<CountingRelay> {
    const relay = new CountingRelay(port);
    relay.server.listen(0, '127.0.0.1');
    await once(relay.server, 'listening');
    return relay;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/`;
  }

  close(): void {
    this.server.close();
    for (const socket of this.open) socket.destroy();
  }
}
