import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { MAX_CANDIDATES } from '../contract/fields.ts';
import { formatEndpoint, parseAddress, parseEndpoint, parsePrefix } from '../wire/address-text.ts';
import { prefixContains } from '../wire/prefix.ts';

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
  return address === undefined ? null : (endpointAt(address, port) ?? null);
}

/** Where a node may be: endpoints of its own, and its port, wherever the controller sees it come from. */
export interface OfferedPlaces {
  readonly candidates: readonly string[];
  readonly seenPort: number;
}

/**
 * What to tell the mesh of where this node may be, for members to try: the address from which it reaches
 * the controller, and its others, one of each family for each interface, but for those that mean something
 * on this machine or inside the mesh only.
 */
export async function ownPlaces(
  controllerUrl: string,
  port: number,
  tunnelPrefix: string,
): Promise<OfferedPlaces> {
  const towards = await addressTowards(new URL(controllerUrl));
  const addresses = [...(towards === undefined ? [] : [towards]), ...addressesOf(tunnelPrefix)];
  const candidates = addresses.flatMap((address) => endpointAt(address, port) ?? []);
  return { candidates: [...new Set(candidates)].slice(0, MAX_CANDIDATES + 1), seenPort: port };
}

function endpointAt(address: string, port: number): string | undefined {
  const endpoint = parseEndpoint(`${isIP(address) === 6 ? `[${address}]` : address}:${port}`);
  return endpoint && formatEndpoint(endpoint);
}

/** IPv4 before IPv6; interfaces in the system's order, in which bridges of containers come last. */
function addressesOf(tunnelPrefix: string): string[] {
  const tunnel = parsePrefix(tunnelPrefix)!;
  const usable = Object.values(networkInterfaces()).map((found = []) =>
    found.filter(({ address, internal, scopeid }) => {
      const bytes = parseAddress(address);
      if (bytes === undefined || internal || (scopeid ?? 0) !== 0) return false;
      return !isLinkLocal4(bytes) && !prefixContains(tunnel, bytes);
    }),
  );
  return (['IPv4', 'IPv6'] as const).flatMap((family) =>
    usable.flatMap((found) => found.find((one) => one.family === family)?.address ?? []),
  );
}

/** RFC 3927: 169.254.0.0/16. */
const isLinkLocal4 = (bytes: Uint8Array): boolean => bytes[0] === 169 && bytes[1] === 254;

function addressTowards(url: URL): Promise<string | undefined> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return sourceTowards(host, Number(url.port) || (url.protocol === 'https:' ? 443 : 80));
}

/** The source address of the route to a host; nothing is sent. Undefined: there is none. */
export async function sourceTowards(host: string, port: number): Promise<string | undefined> {
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
export function freeUdpPort(): Promise<number> {
  return takeUdpPort(0);
}

/** Takes a UDP port (0: any) and gives it back. Rejects where it cannot be had. */
export async function takeUdpPort(wanted: number): Promise<number> {
  const socket = createSocket('udp4');
  try {
    socket.bind(wanted);
    await once(socket, 'listening');
    return socket.address().port;
  } finally {
    socket.close();
  }
}
