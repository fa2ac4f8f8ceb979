import type { DeviceChange, PeerChange } from '../device/config.ts';
import type { RotationSettings } from '../device/rotation.ts';
import { TunnelError } from '../device/tunnel-error.ts';
import type { DatagramCarrier, PacketDevice } from '../io/ports.ts';
import { parseAddress, parseEndpoint, parsePrefix } from '../wire/address-text.ts';
import type { Prefix } from '../wire/prefix.ts';

/** A key as 32 bytes or as base64, the way `wg` prints it. */
export type Key = string | Uint8Array;

/** A peer as people write it. */
export interface PeerOptions {
  readonly publicKey: Key;
  readonly presharedKey?: Key;
  /** `192.0.2.1:51820` or `[2001:db8::1]:51820`. Names are not resolved here. */
  readonly endpoint?: string;
  /** `10.0.0.2/32`, `fd00::/64`; an address alone is one host. */
  readonly allowedIps: readonly string[];
  /** Seconds, 0 = off. */
  readonly persistentKeepalive?: number;
}

export interface TunnelOptions {
  /**
   * 'linux': a TUN device and data workers; needs CAP_NET_ADMIN. 'userspace': inside this process.
   * 'auto' (the default): 'linux' where that is possible.
   */
  readonly mode?: 'auto' | 'linux' | 'userspace';
  /** Interface name (at most 15 bytes), or a label in userspace mode. Default `wg0`. */
  readonly name?: string;
  readonly privateKey: Key;
  /** UDP port; 0, the default, takes any. */
  readonly listenPort?: number;
  /** This side's addresses in the tunnel, `10.0.0.1/24`. */
  readonly addresses?: readonly string[];
  /** Default 1420. */
  readonly mtu?: number;
  readonly peers?: readonly PeerOptions[];
  /** Refuse peers without a pre-shared key. */
  readonly requirePsk?: boolean;
  /** Times of a governed mesh that rotates its pre-shared keys. */
  readonly rotation?: RotationSettings;
  /** SO_MARK (Linux only). */
  readonly fwmark?: number;
  /**
   * Linux only: how many pairs of data workers (outbound and inbound), 1 to 8. Each keeps up to two
   * processors busy; a flow of packets stays with one. Default: half of the processors, at most 4.
   */
  readonly workerPairs?: number;
  /**
   * Most peers at a time, up to 65,536. Default: what the environment variable MESH_MAX_PEERS says, or
   * 20,480. What a change removes counts until it is in force.
   */
  readonly maxPeers?: number;
  /**
   * Userspace only: what to put around the inner end of the tunnel, or in its place; it is given the
   * one that answers `ping`, `send` and `onPacket`.
   */
  readonly device?: (below: PacketDevice) => PacketDevice;
  /** Userspace only: what to put around the UDP sockets, or in their place: another transport. */
  readonly port?: (below: DatagramCarrier) => DatagramCarrier;
  /** What an operator should know, one line each. Default: console.warn. */
  readonly log?: (message: string) => void;
}

export const DEFAULT_MTU = 1420;

/**
 * Peers that a tunnel has room for unless it is told otherwise: those of the largest governed mesh
 * (10,000) twice, for a config that replaces all of them. Room that is not used costs addresses, and
 * next to no memory.
 */
const DEFAULT_MAX_PEERS = 20_480;

/** Own tuning: packet memory and replay windows have 0.8 GB of addresses then; offsets into either reach 2 GB. */
const MOST_PEERS = 65_536;

/** Environment variable: most peers of a tunnel, where its options name no number. */
export const MAX_PEERS = 'MESH_MAX_PEERS';

/** How many peers a tunnel is to have room for. Throws a `TunnelError` if it cannot. */
export function maxPeersOf(option: number | undefined, text = process.env[MAX_PEERS]): number {
  if (option === undefined && (text === undefined || text === '')) return DEFAULT_MAX_PEERS;
  const name = option === undefined ? MAX_PEERS : 'maxPeers';
  const value = option ?? (/^[0-9]+$/.test(text!) ? Number(text) : Number.NaN);
  if (Number.isInteger(value) && value >= 1 && value <= MOST_PEERS) return value;
  throw new TunnelError(
    'invalid_argument',
    `${name}: expected a whole number from 1 to ${MOST_PEERS}, got ${option ?? JSON.stringify(text)}`,
  );
}

export function parseKey(field: string, key: Key): Uint8Array {
  const bytes = typeof key === 'string' ? Buffer.from(key, 'base64') : key;
  const isCanonical = typeof key !== 'string' || (bytes as Buffer).toString('base64') === key;
  if (bytes.length !== 32 || !isCanonical) {
    // The value itself stays out of the message: it may be a secret.
    throw new TunnelError(
      'invalid_argument',
      `${field}: expected 32 bytes, or 44 characters base64`,
    );
  }
  return new Uint8Array(bytes);
}

export function parsePrefixOption(field: string, text: string): Prefix {
  const whole = parseAddress(text);
  const prefix = whole ? { address: whole, length: whole.length * 8 } : parsePrefix(text);
  if (prefix === undefined) {
    throw new TunnelError(
      'invalid_argument',
      `${field}: ${JSON.stringify(text)} is no IP address or prefix such as 10.0.0.0/24`,
    );
  }
  return prefix;
}

/** `10.0.0.1/24`: an address of this side and the length of its network's prefix. */
export function parseInterfaceAddress(
  field: string,
  text: string,
): { address: Uint8Array; length: number } {
  const [addressText, lengthText] = text.split('/');
  const address = parseAddress(addressText!);
  const { length } = parsePrefixOption(field, text);
  if (address === undefined || lengthText === '') {
    throw new TunnelError('invalid_argument', `${field}: expected an address such as 10.0.0.1/24`);
  }
  return { address, length };
}

/** The configuration that `options` ask for. Throws a `TunnelError` naming the wrong field. */
export function initialChange(options: TunnelOptions): DeviceChange {
  return {
    privateKey: parseKey('privateKey', options.privateKey),
    ...(options.listenPort === undefined ? {} : { listenPort: options.listenPort }),
    ...(options.fwmark === undefined ? {} : { fwmark: options.fwmark }),
    peers: (options.peers ?? []).map((peer, i) => peerChange(peer, `peers[${i}]`)),
  };
}

/** One peer's part of a change, for `Tunnel.configure`. Throws a `TunnelError` about `field`. */
export function peerChange(peer: PeerOptions, field = 'peer'): PeerChange {
  return {
    publicKey: parseKey(`${field}.publicKey`, peer.publicKey),
    ...(peer.presharedKey === undefined
      ? {}
      : { presharedKey: parseKey(`${field}.presharedKey`, peer.presharedKey) }),
    ...(peer.endpoint === undefined
      ? {}
      : { endpoint: endpointOption(`${field}.endpoint`, peer.endpoint) }),
    ...(peer.persistentKeepalive === undefined
      ? {}
      : { persistentKeepalive: peer.persistentKeepalive }),
    replaceAllowedIps: true,
    allowedIps: peer.allowedIps.map((text, j) => ({
      prefix: parsePrefixOption(`${field}.allowedIps[${j}]`, text),
    })),
  };
}

function endpointOption(field: string, text: string): NonNullable<PeerChange['endpoint']> {
  const endpoint = parseEndpoint(text, () => undefined);
  if (endpoint === undefined) {
    throw new TunnelError(
      'invalid_argument',
      `${field}: ${JSON.stringify(text)} is no endpoint such as 192.0.2.1:51820 or [2001:db8::1]:51820`,
    );
  }
  return endpoint;
}
