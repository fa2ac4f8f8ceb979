import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Place } from './place.ts';

/** Everything on loopback, tunnels inside the processes: works anywhere. */
export async function userspacePlace(): Promise<Place> {
  const port = await freeTcpPort();
  return {
    mode: 'userspace',
    wrap: (_part, command) => [...command] as [string, ...string[]],
    controllerListen: `127.0.0.1:${port}`,
    controllerUrl: `http://127.0.0.1:${port}`,
    address: () => '127.0.0.1',
    listenPort: 0,
    hints: [],
    remove: async () => {},
  };
}

/** A port that was free a moment ago. */
export async function freeTcpPort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
