import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { formatPrefix, parseAddress, parsePrefix } from '../../wire/address-text.ts';
import { maskPrefix, type Prefix, prefixContains } from '../../wire/prefix.ts';

/** A network of this machine, with the interface that leads to it. */
export interface LocalNetwork {
  readonly interfaceName: string;
  readonly prefix: Prefix;
  /** As people know it: the address of the interface, or the route. */
  readonly text: string;
}

/** The networks that this thread's network namespace has addresses in or routes to (IPv4). */
export function localNetworks(): LocalNetwork[] {
  return [...addressedNetworks(), ...routedNetworks(readFileSync('/proc/net/route', 'utf8'))];
}

function addressedNetworks(): LocalNetwork[] {
  return Object.entries(networkInterfaces()).flatMap(([interfaceName, addresses = []]) =>
    addresses.flatMap(({ address, cidr, family }) => {
      const prefix = cidr === null ? undefined : networkOf(cidr);
      if (family !== 'IPv4' || prefix === undefined) return [];
      return [{ interfaceName, prefix, text: `${cidr ?? address} of ${interfaceName}` }];
    }),
  );
}

function networkOf(cidr: string): Prefix | undefined {
  const [text, length] = cidr.split('/');
  const address = parseAddress(text!);
  return address && maskPrefix({ address, length: Number(length) });
}

/** Flags of a route in /proc/net/route: up. */
const RTF_UP = 0x1;

/**
 * The main table as /proc/net/route has it: addresses in hexadecimal, in the machine's byte order. The
 * default route leads everywhere and overlaps nothing.
 */
export function routedNetworks(table: string): LocalNetwork[] {
  return table
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [interfaceName, destination, , flags, , , , mask] = line.trim().split(/\s+/);
      if (interfaceName === undefined || destination === undefined || mask === undefined) return [];
      const length = ones(hexAddress(mask));
      if ((Number.parseInt(flags!, 16) & RTF_UP) === 0 || length === 0) return [];
      const prefix = maskPrefix({ address: hexAddress(destination), length });
      return [
        { interfaceName, prefix, text: `the route to ${formatPrefix(prefix)} by ${interfaceName}` },
      ];
    });
}

function hexAddress(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.padStart(8, '0'), 'hex')).reverse();
}

function ones(mask: Uint8Array): number {
  return mask.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
}

/**
 * The first of `networks` that shares addresses with `range` and is not that of `own`, our interface:
 * what is sent to members could leave by it in the clear, and what answers could be anybody.
 */
export function overlapping(
  range: string,
  own: string | undefined,
  networks: readonly LocalNetwork[],
): LocalNetwork | undefined {
  const mesh = parsePrefix(range)!;
  return networks.find(
    ({ interfaceName, prefix }) =>
      interfaceName !== own &&
      (prefixContains(mesh, prefix.address) || prefixContains(prefix, mesh.address)),
  );
}

export function explainOverlap(range: string, network: LocalNetwork): string {
  return (
    `the mesh's addresses, ${range}, overlap ${network.text}: packets for members could leave there in ` +
    'the clear; give the mesh others (meshnet controller --tunnel-prefix), or this machine'
  );
}
