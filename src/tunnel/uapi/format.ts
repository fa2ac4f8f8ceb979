import { constants } from 'node:os';
import type {
  AllowedIpChange,
  DeviceChange,
  DeviceStatus,
  PeerChange,
  PeerStatus,
} from '../../device/config.ts';
import {
  formatEndpoint,
  formatPrefix,
  parseEndpoint,
  parsePrefix,
  type ScopeOf,
} from '../../wire/address-text.ts';

/**
 * Text of the cross-platform configuration protocol (https://www.wireguard.com/xplatform/).
 * A request is an operation line, `key=value` lines and an empty line; so is an answer, which
 * ends with `errno=N`. Error messages name the key, never a value: values may be keys.
 */

/** A request that was refused. `errno` is negative, as the protocol wants it, or 0 for none. */
export class UapiError extends Error {
  readonly errno: number;

  constructor(code: 'EINVAL' | 'EPROTO', message: string) {
    super(message);
    this.name = 'UapiError';
    this.errno = -constants.errno[code];
  }
}

/** What the lines after `set=1` ask for. Throws UapiError; a line without '=' is EPROTO. */
export function parseSet(lines: readonly string[], scopeOf: ScopeOf): DeviceChange {
  const device: Mutable<DeviceChange> = {};
  const peers: PeerChange[] = [];
  let peer: PeerParser | undefined;
  for (const line of lines) {
    const equals = line.indexOf('=');
    if (equals === -1) throw new UapiError('EPROTO', 'a line without "="');
    const key = line.slice(0, equals);
    const value = line.slice(equals + 1);
    if (key === 'public_key') {
      peer?.finish();
      peer = new PeerParser(parseKey(key, value), peers, scopeOf);
    } else if (peer !== undefined) {
      peer.line(key, value);
    } else {
      parseDeviceLine(device, key, value);
    }
  }
  peer?.finish();
  return peers.length > 0 ? { ...device, peers } : device;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function parseDeviceLine(device: Mutable<DeviceChange>, key: string, value: string): void {
  switch (key) {
    case 'private_key':
      device.privateKey = parseKey(key, value);
      break;
    case 'listen_port':
      device.listenPort = parseUnsigned(key, value, 0xffff);
      break;
    case 'fwmark':
      device.fwmark = parseUnsigned(key, value, 0xffff_ffff);
      break;
    case 'replace_peers':
      requireTrue(key, value);
      device.replacePeers = true;
      break;
    default:
      throw new UapiError('EINVAL', 'an unknown key for a device');
  }
}

/** Lines of one peer. They act in their order, so one section can become several changes. */
class PeerParser {
  private readonly peers: PeerChange[];
  private readonly scopeOf: ScopeOf;
  private change: Mutable<PeerChange>;
  private allowedIps: AllowedIpChange[] = [];
  private removed = false;

  constructor(publicKey: Uint8Array, peers: PeerChange[], scopeOf: ScopeOf) {
    this.change = { publicKey };
    this.peers = peers;
    this.scopeOf = scopeOf;
  }

  line(key: string, value: string): void {
    switch (key) {
      case 'update_only':
        requireTrue(key, value);
        this.change.updateOnly = true;
        break;
      case 'remove':
        requireTrue(key, value);
        this.remove();
        break;
      case 'preshared_key':
        this.change.presharedKey = parseKey(key, value);
        break;
      case 'endpoint':
        this.change.endpoint = required(key, parseEndpoint(value, this.scopeOf));
        break;
      case 'persistent_keepalive_interval':
        this.change.persistentKeepalive = parseUnsigned(key, value, 0xffff);
        break;
      case 'replace_allowed_ips':
        requireTrue(key, value);
        if (this.allowedIps.length > 0) this.split();
        this.change.replaceAllowedIps = true;
        break;
      case 'allowed_ip': {
        const remove = value.startsWith('-');
        const prefix = required(key, parsePrefix(remove ? value.slice(1) : value));
        this.allowedIps.push(remove ? { prefix, remove } : { prefix });
        break;
      }
      case 'protocol_version':
        if (value !== '1') throw new UapiError('EINVAL', 'protocol_version is not 1');
        break;
      default:
        throw new UapiError('EINVAL', 'an unknown key for a peer');
    }
  }

  finish(): void {
    if (this.removed) return; // what stands behind `remove` is checked and has no effect
    if (this.allowedIps.length > 0) this.change.allowedIps = this.allowedIps;
    this.peers.push(this.change);
  }

  private remove(): void {
    if (this.removed) return;
    if (this.allowedIps.length > 0) this.split(); // they have been taken from other peers
    const { publicKey } = this.change;
    this.peers.push({ publicKey, remove: true });
    this.removed = true;
  }

  /** What was said so far comes first; then what follows, for the same peer if it is there. */
  private split(): void {
    this.finish();
    const { publicKey } = this.change;
    this.change = { publicKey, updateOnly: true };
    this.allowedIps = [];
  }
}

function required<T>(key: string, value: T | undefined): T {
  if (value === undefined) throw new UapiError('EINVAL', `${key} is malformed`);
  return value;
}

/** 32 bytes in hexadecimal. */
function parseKey(key: string, value: string): Uint8Array {
  if (!/^[0-9a-fA-F]{64}$/.test(value)) {
    throw new UapiError('EINVAL', `${key} is not 64 hexadecimal digits`);
  }
  return Uint8Array.fromHex(value);
}

function parseUnsigned(key: string, value: string, maximum: number): number {
  const number = /^[0-9]{1,20}$/.test(value) ? Number(value) : Number.NaN;
  if (!(number <= maximum)) {
    throw new UapiError('EINVAL', `${key} is not an integer from 0 to ${maximum}`);
  }
  return number;
}

function requireTrue(key: string, value: string): void {
  if (value !== 'true') throw new UapiError('EINVAL', `${key} can only be "true"`);
}

/** The answer to `get=1` without its `errno` line. Contains the private and pre-shared keys. */
export function formatStatus(status: DeviceStatus): string {
  const lines: string[] = [];
  if (status.privateKey !== undefined) lines.push(`private_key=${status.privateKey.toHex()}`);
  if (status.listenPort !== 0) lines.push(`listen_port=${status.listenPort}`);
  if (status.fwmark !== 0) lines.push(`fwmark=${status.fwmark}`);
  for (const peer of status.peers) formatPeer(peer, lines);
  lines.push('');
  return lines.join('\n');
}

const NO_KEY = '00'.repeat(32);

function formatPeer(peer: PeerStatus, lines: string[]): void {
  const handshake = Math.max(0, peer.lastHandshakeAt ?? 0);
  const seconds = Math.floor(handshake / 1000);
  const nanoseconds = Math.floor((handshake - seconds * 1000) * 1e6);
  lines.push(
    `public_key=${peer.publicKey.toHex()}`,
    `preshared_key=${peer.presharedKey?.toHex() ?? NO_KEY}`,
    'protocol_version=1',
  );
  if (peer.endpoint !== undefined) lines.push(`endpoint=${formatEndpoint(peer.endpoint)}`);
  lines.push(
    `last_handshake_time_sec=${seconds}`,
    `last_handshake_time_nsec=${nanoseconds}`,
    `tx_bytes=${peer.txBytes}`,
    `rx_bytes=${peer.rxBytes}`,
    `persistent_keepalive_interval=${peer.persistentKeepalive}`,
  );
  for (const prefix of peer.allowedIps) lines.push(`allowed_ip=${formatPrefix(prefix)}`);
}
