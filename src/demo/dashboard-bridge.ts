import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/**
 * The controller's dashboard, which listens on a Unix socket, at an address of loopback: the controller
 * may run in a network namespace whose loopback is not the browser's.
 */
export async function bridgeDashboard(
  path: string,
): Promise<{ readonly url: string; close(): void }> {
  const open = new Set<Socket>();
  const server = createServer((browser) => {
    const dashboard = connect(path);
    for (const [socket, other] of [
      [browser, dashboard],
      [dashboard, browser],
    ] as const) {
      open.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        open.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = () => {
    server.close();
    for (const socket of open) socket.destroy();
  };
  return { url: `http://127.0.0.1:${port}/`, close };
}
