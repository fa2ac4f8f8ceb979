import { isIpv4Mapped } from './address-text.ts';
import type { Endpoint } from './endpoint.ts';
import { maskPrefix, type Prefix } from './prefix.ts';

/**
 * Where datagrams may be sent. An endpoint is a claim of whoever named it: a peer that roams, an
 * initiator, a configuration, a node that enrols. Whoever takes one up asks here first.
 */

/** What one machine knows of itself. */
export interface LocalFacts {
  /** UDP port of the device's own socket, 0 without one. */
  readonly port: number;
  /** Addresses of the machine's interfaces with the lengths of their networks' prefixes. */
  readonly addresses: readonly Prefix[];
  /** Whether peers may be on this machine, or are expected to be elsewhere. */
  readonly loopback: boolean;
  /** Whether the device itself routes this address (4 or 16 bytes) into the tunnel. */
  isRoutedIntoTunnel(address: Uint8Array): boolean;
}

/** Nothing is known of the machine: only what is no endpoint anywhere is refused. */
export const ANYWHERE: LocalFacts = {
  port: 0,
  addresses: [],
  loopback: true,
  isRoutedIntoTunnel: () => false,
};

/**
 * `local` as far as it matters for an endpoint that something came from: the one local address that
 * counts is that which it was sent to, and if it came over loopback, the peer is on this machine.
 */
export function arrivedFrom({ source }: Endpoint, local: LocalFacts): LocalFacts {
  return {
    port: local.port,
    addresses: source === undefined ? [] : [{ address: source, length: source.length * 8 }],
    loopback: true,
    isRoutedIntoTunnel: (address) => local.isRoutedIntoTunnel(address),
  };
}

export type EndpointFault =
  /** Port 0. */
  | 'noPort'
  /** An IPv4 address in the form of an IPv6 one: the same place would have two names. */
  | 'notCanonical'
  /** Unspecified, broadcast, multicast, reserved. */
  | 'notUnicast'
  /** A link-local IPv6 address without its interface. */
  | 'noScope'
  /** An address of the own machine, where no peer is expected. */
  | 'loopback'
  /** The device would talk to itself. */
  | 'ownSocket'
  /** What is sent there would come back to be sealed again, without end. */
  | 'routedIntoTunnel';

/** Whether datagrams may be sent to `endpoint`. */
export function acceptableEndpoint(endpoint: Endpoint, local: LocalFacts): boolean {
  return endpointFault(endpoint, local) === undefined;
}

/** Why no datagram may be sent to `endpoint`; undefined if one may. */
export function endpointFault(endpoint: Endpoint, local: LocalFacts): EndpointFault | undefined {
  const { address, port, scope } = endpoint;
  if (port === 0) return 'noPort';
  if (isIpv4Mapped(address)) return 'notCanonical';
  if (!isUnicast(address)) return 'notUnicast';
  if (isLinkLocal6(address) && scope === 0) return 'noScope';
  if (isLoopback(address) && !local.loopback) return 'loopback';
  for (const own of local.addresses) {
    if (own.address.length !== address.length) continue;
    if (isBroadcastOf(address, own)) return 'notUnicast';
    if (port === local.port && sameBytes(own.address, address)) return 'ownSocket';
  }
  if (isLoopback(address) && port === local.port) return 'ownSocket';
  return local.isRoutedIntoTunnel(address) ? 'routedIntoTunnel' : undefined;
}

/** One sentence for people; `what` names the endpoint. */
export function explainEndpointFault(what: string, fault: EndpointFault): string {
  return `${what} ${EXPLANATIONS[fault]}`;
}

const EXPLANATIONS: Readonly<Record<EndpointFault, string>> = {
  noPort: 'has no port',
  notCanonical: 'is an IPv4 address written as an IPv6 one',
  notUnicast: 'is not the address of one machine',
  noScope: 'is a link-local address without its interface',
  loopback: 'is a loopback address, which means another machine to everyone',
  ownSocket: 'is the own socket',
  routedIntoTunnel: 'is inside the tunnel that it would carry',
};

/** 127.0.0.0/8 and ::1. */
export function isLoopback(address: Uint8Array): boolean {
  if (address.length === 4) return address[0] === 127;
  return address[15] === 1 && address.subarray(0, 15).every((byte) => byte === 0);
}

/**
 * RFC 6890: not 0.0.0.0/8, not 224.0.0.0/4, not 240.0.0.0/4 with the broadcast address; not ::, not
 * ff00::/8.
 */
function isUnicast(address: Uint8Array): boolean {
  if (address.length === 4) return address[0] !== 0 && address[0]! < 224;
  return address[0] !== 0xff && address.some((byte) => byte !== 0);
}

/** fe80::/10, RFC 4291 section 2.5.6. */
function isLinkLocal6(address: Uint8Array): boolean {
  return address.length === 16 && address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
}

/** RFC 919: the last address of an IPv4 network, and the first one, which was it once. */
function isBroadcastOf(address: Uint8Array, network: Prefix): boolean {
  if (address.length !== 4 || network.length >= 31) return false;
  const first = maskPrefix(network).address;
  if (sameBytes(address, first)) return true;
  if (!sameBytes(maskPrefix({ address, length: network.length }).address, first)) return false;
  return address.every((byte, i) => {
    const bits = Math.min(8, Math.max(0, network.length - i * 8));
    return (byte | ((0xff00 >> bits) & 0xff)) === 0xff;
  });
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}
