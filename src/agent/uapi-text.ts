import type { DeviceChange, PeerChange, PeerStatus } from '../tunnel/create-tunnel.ts';
import { formatEndpoint, formatPrefix, parseEndpoint, parsePrefix } from '../wire/address-text.ts';

/**
 * The client's half of WireGuard's cross-platform configuration protocol
 * (https://www.wireguard.com/xplatform/): what to write to a foreign device, and what it answers.
 */

/** A `set=1` request with its empty line. */
export function formatSet(change: DeviceChange): string {
  const lines = ['set=1'];
  if (change.privateKey) lines.push(`private_key=${hex(change.privateKey)}`);
  if (change.listenPort !== undefined) lines.push(`listen_port=${change.listenPort}`);
  if (change.fwmark !== undefined) lines.push(`fwmark=${change.fwmark}`);
  if (change.replacePeers) lines.push('replace_peers=true');
  for (const peer of change.peers ?? []) peerLines(peer, lines);
  return `${lines.join('\n')}\n\n`;
}

function peerLines(peer: PeerChange, lines: string[]): void {
  lines.push(`public_key=${hex(peer.publicKey)}`);
  if (peer.remove) {
    lines.push('remove=true');
    return;
  }
  if (peer.updateOnly) lines.push('update_only=true');
  if (peer.presharedKey) lines.push(`preshared_key=${hex(peer.presharedKey)}`);
  if (peer.endpoint) lines.push(`endpoint=${formatEndpoint(peer.endpoint)}`);
  if (peer.persistentKeepalive !== undefined) {
    lines.push(`persistent_keepalive_interval=${peer.persistentKeepalive}`);
  }
  if (peer.replaceAllowedIps) lines.push('replace_allowed_ips=true');
  for (const { prefix, remove } of peer.allowedIps ?? []) {
    const sign = remove ? '-' : '';
    lines.push(`allowed_ip=${sign}${formatPrefix(prefix)}`);
  }
}

/** A foreign device's answer to `get=1`, as far as an agent needs it. */
export interface ForeignStatus {
  readonly listenPort: number;
  readonly peers: readonly PeerStatus[];
}

/** The value of the `errno=` line that ends every answer; undefined if there is none. */
export function answerErrno(answer: string): number | undefined {
  const errno = /(?:^|\n)errno=(-?\d+)\n*$/.exec(answer)?.[1];
  return errno === undefined ? undefined : Number(errno);
}

export function parseGet(answer: string): ForeignStatus {
  let listenPort = 0;
  const peers: Mutable<PeerStatus>[] = [];
  let handshakeSeconds = 0;
  for (const line of answer.split('\n')) {
    const equals = line.indexOf('=');
    if (equals < 0) continue;
    const value = line.slice(equals + 1);
    const peer = peers.at(-1);
    switch (line.slice(0, equals)) {
      case 'listen_port':
        listenPort = Number(value);
        break;
      case 'public_key':
        peers.push(newPeer(value));
        break;
      case 'endpoint':
        if (peer) peer.endpoint = parseEndpoint(value);
        break;
      case 'persistent_keepalive_interval':
        if (peer) peer.persistentKeepalive = Number(value);
        break;
      case 'last_handshake_time_sec':
        handshakeSeconds = Number(value);
        break;
      case 'last_handshake_time_nsec': {
        const at = handshakeSeconds * 1000 + Number(value) / 1e6;
        if (peer && at > 0) peer.lastHandshakeAt = at;
        break;
      }
      case 'rx_bytes':
        if (peer) peer.rxBytes = Number(value);
        break;
      case 'tx_bytes':
        if (peer) peer.txBytes = Number(value);
        break;
      case 'allowed_ip': {
        const prefix = parsePrefix(value);
        if (peer && prefix) peer.allowedIps = [...peer.allowedIps, prefix];
        break;
      }
    }
  }
  return { listenPort, peers };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function newPeer(publicKeyHex: string): Mutable<PeerStatus> {
  return {
    publicKey: new Uint8Array(Buffer.from(publicKeyHex, 'hex')),
    presharedKey: undefined,
    endpoint: undefined,
    persistentKeepalive: 0,
    allowedIps: [],
    lastHandshakeAt: undefined,
    txBytes: 0,
    rxBytes: 0,
    generation: undefined,
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
