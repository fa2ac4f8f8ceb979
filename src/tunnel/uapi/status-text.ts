import type { PeerStatus } from '../../device/config.ts';
import { formatPrefix, parsePrefix, type ScopeOf } from '../../wire/address-text.ts';
import { DEVICE_SETTINGS, type Mutable, PEER_SETTINGS, type UapiStatus } from './settings.ts';
import { parseKey, parseUnsigned, required, splitLine, UapiError, writeLine } from './values.ts';

/**
 * A status as the text of the answer to `get=1`, and back: settings (`settings.ts`), and here what is only
 * ever shown.
 */

/** The answer to `get=1` without its `errno` line. Contains the private and pre-shared keys. */
export function formatStatus(status: UapiStatus): string {
  const lines: string[] = [];
  for (const [key, { shown }] of DEVICE_SETTINGS) writeLine(lines, key, shown(status));
  for (const peer of status.peers) formatPeer(peer, lines);
  lines.push('');
  return lines.join('\n');
}

function formatPeer(peer: PeerStatus, lines: string[]): void {
  const handshake = Math.max(0, peer.lastHandshakeAt ?? 0);
  const seconds = Math.floor(handshake / 1000);
  const nanoseconds = Math.floor((handshake - seconds * 1000) * 1e6);
  lines.push(`public_key=${peer.publicKey.toHex()}`);
  for (const [key, { shown }] of PEER_SETTINGS) writeLine(lines, key, shown(peer));
  lines.push(
    'protocol_version=1',
    `last_handshake_time_sec=${seconds}`,
    `last_handshake_time_nsec=${nanoseconds}`,
    `tx_bytes=${peer.txBytes}`,
    `rx_bytes=${peer.rxBytes}`,
  );
  for (const prefix of peer.allowedIps) lines.push(`allowed_ip=${formatPrefix(prefix)}`);
}

/** What an answer ends with; `errno` is 0 or negative. */
export const formatErrno = (errno: number): string => `errno=${errno}\n\n`;

/** The value of the `errno=` line that ends every answer; undefined if there is none. */
export function answerErrno(answer: string): number | undefined {
  const errno = /(?:^|\n)errno=(-?\d+)\n*$/.exec(answer)?.[1];
  return errno === undefined ? undefined : Number(errno);
}

/**
 * An answer to `get=1`. Keys that are not known are passed over: devices may tell more. Throws a
 * UapiError for a value that is not what its key stands for.
 */
export function parseStatus(answer: string, scopeOf: ScopeOf): UapiStatus {
  const device: Mutable<UapiStatus> = {
    privateKey: undefined,
    listenPort: 0,
    fwmark: 0,
    peers: [],
  };
  const peers: PeerParser[] = [];
  for (const line of answer.split('\n')) {
    if (line === '') continue;
    const [key, value] = splitLine(line);
    if (key === 'public_key') peers.push(new PeerParser(parseKey(key, value), scopeOf));
    else if (peers.length > 0) peers.at(-1)!.line(key, value);
    else DEVICE_SETTINGS.get(key)?.see(device, value, key, scopeOf);
  }
  device.peers = peers.map((peer) => peer.status());
  return device;
}

class PeerParser {
  private readonly scopeOf: ScopeOf;
  private readonly peer: Mutable<PeerStatus>;
  private readonly allowedIps: PeerStatus['allowedIps'][number][] = [];
  private handshakeSeconds = 0;
  private handshakeNanoseconds = 0;

  constructor(publicKey: Uint8Array, scopeOf: ScopeOf) {
    this.scopeOf = scopeOf;
    this.peer = {
      publicKey,
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

  line(key: string, value: string): void {
    const { peer } = this;
    const setting = PEER_SETTINGS.get(key);
    if (setting !== undefined) {
      setting.see(peer, value, key, this.scopeOf);
      return;
    }
    const count = () => parseUnsigned(key, value, Number.MAX_SAFE_INTEGER);
    switch (key) {
      case 'protocol_version':
        if (value !== '1') throw new UapiError('EINVAL', 'protocol_version is not 1');
        break;
      case 'last_handshake_time_sec':
        this.handshakeSeconds = count();
        break;
      case 'last_handshake_time_nsec':
        this.handshakeNanoseconds = count();
        break;
      case 'tx_bytes':
        peer.txBytes = count();
        break;
      case 'rx_bytes':
        peer.rxBytes = count();
        break;
      case 'allowed_ip':
        this.allowedIps.push(required(key, parsePrefix(value)));
        break;
    }
  }

  status(): PeerStatus {
    const handshakeAt = this.handshakeSeconds * 1000 + this.handshakeNanoseconds / 1e6;
    return {
      ...this.peer,
      allowedIps: this.allowedIps,
      lastHandshakeAt: handshakeAt > 0 ? handshakeAt : undefined,
    };
  }
}
