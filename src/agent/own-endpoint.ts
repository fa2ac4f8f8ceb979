import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { formatEndpoint, parseEndpoint } from '../wire/address-text.ts';

/**
 * The endpoint to tell the mesh: the address that was given, or the one from which this machine reaches
 * the controller, which members on the same network reach as well. Null where there is no way to it.
 */
export async function ownEndpoint(
  advertise: string | null,
  controllerUrl: string,
  port: number,
): Promise<string | null> {
  const address = advertise ?? (await addressTowards(new URL(controllerUrl)));
  if (address === undefined) return null;
  const endpoint = parseEndpoint(`${isIP(address) === 6 ? `[${address}]` : address}:${port}`);
  return endpoint === undefined ? null : formatEndpoint(endpoint);
}

/** The source address of the route to a host; nothing is sent. */
async function addressTowards(url: URL): Promise<string | undefined> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
  for (const type of isIP(host) === 6 ? (['udp6'] as const) : (['udp4', 'udp6'] as const)) {
    const socket = createSocket(type);
    try {
      socket.connect(port, host);
      await once(socket, 'connect');
      const { address } = socket.address();
      if (!address.includes('%')) return address; // a link-local one means nothing to others
    } catch {
      // no such family, no route, or no such name: the next family, or none
    } finally {
      socket.close();
    }
  }
  return undefined;
}

/** A UDP port that was free a moment ago. */
export async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0);
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}
