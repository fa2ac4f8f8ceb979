import type { AllowedIpChange, DeviceChange, PeerChange } from '../../device/config.ts';
import { formatPrefix, parsePrefix, type ScopeOf } from '../../wire/address-text.ts';
import { DEVICE_SETTINGS, type Mutable, PEER_SETTINGS } from './settings.ts';
import { parseKey, required, requireTrue, splitLine, UapiError, writeLine } from './values.ts';

/**
 * A change as the text of a `set=1` request, and back: settings (`settings.ts`), and here the keys that
 * say how they apply.
 */

/** What the lines after `set=1` ask for. Throws UapiError; a line without '=' is EPROTO. */
export function parseSet(lines: readonly string[], scopeOf: ScopeOf): DeviceChange {
  const device: Mutable<DeviceChange> = {};
  const peers: PeerChange[] = [];
  let peer: PeerParser | undefined;
  for (const line of lines) {
    const [key, value] = splitLine(line);
    if (key === 'public_key') {
      peer?.finish();
      peer = new PeerParser(parseKey(key, value), peers, scopeOf);
    } else if (peer !== undefined) {
      peer.line(key, value);
    } else {
      parseDeviceLine(device, key, value, scopeOf);
    }
  }
  peer?.finish();
  return peers.length > 0 ? { ...device, peers } : device;
}

function parseDeviceLine(
  device: Mutable<DeviceChange>,
  key: string,
  value: string,
  scopeOf: ScopeOf,
): void {
  const setting = DEVICE_SETTINGS.get(key);
  if (setting !== undefined) setting.set(device, value, key, scopeOf);
  else if (key !== 'replace_peers') throw new UapiError('EINVAL', 'an unknown key for a device');
  else {
    requireTrue(key, value);
    device.replacePeers = true;
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
    const setting = PEER_SETTINGS.get(key);
    if (setting !== undefined) {
      setting.set(this.change, value, key, this.scopeOf);
      return;
    }
    switch (key) {
      case 'update_only':
        requireTrue(key, value);
        this.change.updateOnly = true;
        break;
      case 'remove':
        requireTrue(key, value);
        this.remove();
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

/**
 * A `set=1` request with its empty line. What the protocol has no word for (generations, dates) is
 * left out. Contains the private and pre-shared keys.
 */
export function formatSet(change: DeviceChange): string {
  const lines = ['set=1'];
  for (const [key, { asked }] of DEVICE_SETTINGS) writeLine(lines, key, asked(change));
  if (change.replacePeers) lines.push('replace_peers=true');
  for (const peer of change.peers ?? []) formatPeer(peer, lines);
  return `${lines.join('\n')}\n\n`;
}

function formatPeer(peer: PeerChange, lines: string[]): void {
  lines.push(`public_key=${peer.publicKey.toHex()}`);
  if (peer.remove) {
    lines.push('remove=true');
    return;
  }
  if (peer.updateOnly) lines.push('update_only=true');
  for (const [key, { asked }] of PEER_SETTINGS) writeLine(lines, key, asked(peer));
  if (peer.replaceAllowedIps) lines.push('replace_allowed_ips=true');
  for (const { prefix, remove } of peer.allowedIps ?? []) {
    lines.push(`allowed_ip=${remove ? '-' : ''}${formatPrefix(prefix)}`);
  }
}
