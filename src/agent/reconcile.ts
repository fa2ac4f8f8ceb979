import { equalBytes } from '../contract/encoding.ts';
import type { DeviceChange, PeerChange } from '../tunnel/create-tunnel.ts';
import { ANYWHERE, acceptableEndpoint } from '../wire/acceptable-endpoint.ts';
import { parseAddress, parseEndpoint } from '../wire/address-text.ts';
import type { Endpoint } from '../wire/endpoint.ts';

/** What is in force for one peer. */
export interface DesiredPeer {
  readonly nodeId: string;
  /** X25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 32 bytes, secret. */
  readonly psk: Uint8Array;
  readonly generation: number;
  readonly sinceEpoch: number;
  readonly tunnelAddress: string;
  readonly endpoint: string | null;
  /** Where it may be as well. */
  readonly candidates?: readonly string[];
}

/** The peers of a device, by node id. `undefined` where the device's content is unknown. */
export type DesiredPeers = ReadonlyMap<string, DesiredPeer>;

/**
 * The one change that takes the device from `before` to `after`, or undefined if there is none.
 * Pure. A peer's key, PSK and allowed-ips go in one operation, so no moment exists in which it has
 * the one without the other.
 */
export function reconcile(
  before: DesiredPeers | undefined,
  after: DesiredPeers,
): DeviceChange | undefined {
  const peers: PeerChange[] = [];
  for (const old of before?.values() ?? []) {
    const now = after.get(old.nodeId);
    if (now && equalBytes(now.publicKey, old.publicKey)) continue;
    peers.push({ publicKey: old.publicKey, remove: true });
  }
  for (const peer of after.values()) {
    const change = peerChange(before?.get(peer.nodeId), peer);
    if (change) peers.push(change);
  }
  if (before === undefined) return { replacePeers: true, peers };
  return peers.length === 0 ? undefined : { peers };
}

/** Only the removals of a change: what must hold even if the rest is refused. */
export function removalsOf(change: DeviceChange): DeviceChange {
  const peers = (change.peers ?? []).filter((peer) => peer.remove === true);
  return change.replacePeers === true ? { replacePeers: true, peers: [] } : { peers };
}

function peerChange(old: DesiredPeer | undefined, peer: DesiredPeer): PeerChange | undefined {
  const known = old && equalBytes(old.publicKey, peer.publicKey) ? old : undefined;
  if (known && samePeer(known, peer)) return undefined;
  const change: PeerChange = {
    publicKey: peer.publicKey,
    presharedKey: peer.psk,
    generation: peer.generation,
    expireBefore: peer.sinceEpoch,
    replaceAllowedIps: true,
    allowedIps: [{ prefix: { address: parseAddress(peer.tunnelAddress)!, length: 32 } }],
  };
  const places = peer.candidates === undefined ? [] : [peer.endpoint, ...peer.candidates];
  const candidates = places.flatMap((text) => (text === null ? [] : (usable(text) ?? [])));
  const told = known || candidates.length > 0 ? { ...change, candidates } : change;
  // An endpoint that the config merely repeats must not undo roaming.
  if (peer.endpoint === null || peer.endpoint === known?.endpoint) return told;
  const endpoint = usable(peer.endpoint);
  return endpoint === undefined ? told : { ...told, endpoint };
}

/** What one member claims must not spoil the config of the others: what is no endpoint is not tried. */
function usable(text: string): Endpoint | undefined {
  const endpoint = parseEndpoint(text);
  return endpoint && acceptableEndpoint(endpoint, ANYWHERE) ? endpoint : undefined;
}

function samePeer(a: DesiredPeer, b: DesiredPeer): boolean {
  return (
    a.generation === b.generation &&
    a.sinceEpoch === b.sinceEpoch &&
    a.tunnelAddress === b.tunnelAddress &&
    a.endpoint === b.endpoint &&
    a.candidates?.join() === b.candidates?.join() &&
    equalBytes(a.psk, b.psk)
  );
}
