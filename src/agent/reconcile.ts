import { equalBytes } from '../contract/encoding.ts';
import type { DeviceChange, PeerChange, PresharedKey } from '../tunnel/create-tunnel.ts';
import { ANYWHERE, acceptableEndpoint } from '../wire/acceptable-endpoint.ts';
import { parseAddress, parseEndpoint } from '../wire/address-text.ts';
import type { Endpoint } from '../wire/endpoint.ts';

/** What is in force for one peer. */
export interface DesiredPeer {
  readonly nodeId: string;
  /** X25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Secret. */
  readonly psk: PresharedKey;
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
 * the one without the other. What stays is not said again: an epoch gives every peer a new key, and few
 * another address.
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

/** The change that takes `nodes` off a device with the peers `before`, or undefined if it has none of them. */
export function removalOf(
  before: DesiredPeers | undefined,
  nodes: Iterable<string>,
): DeviceChange | undefined {
  if (before === undefined) return { replacePeers: true, peers: [] };
  const peers: PeerChange[] = [];
  for (const nodeId of nodes) {
    const peer = before.get(nodeId);
    if (peer) peers.push({ publicKey: peer.publicKey, remove: true });
  }
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
  const { publicKey, psk: presharedKey, generation, sinceEpoch: expireBefore } = peer;
  const keyed = { publicKey, presharedKey, generation, expireBefore };
  const isThere = known?.tunnelAddress === peer.tunnelAddress;
  const change: PeerChange = isThere ? keyed : { ...keyed, ...routesTo(peer.tunnelAddress) };
  if (known && samePlaces(known, peer)) return change;
  const places = peer.candidates === undefined ? [] : [peer.endpoint, ...peer.candidates];
  const candidates = places.flatMap((text) => (text === null ? [] : (usable(text) ?? [])));
  const told = known || candidates.length > 0 ? { ...change, candidates } : change;
  // An endpoint that the config merely repeats must not undo roaming.
  if (peer.endpoint === null || peer.endpoint === known?.endpoint) return told;
  const endpoint = usable(peer.endpoint);
  return endpoint === undefined ? told : { ...told, endpoint };
}

function routesTo(tunnelAddress: string): Partial<PeerChange> {
  const prefix = { address: parseAddress(tunnelAddress)!, length: 32 };
  return { replaceAllowedIps: true, allowedIps: [{ prefix }] };
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
    samePlaces(a, b) &&
    samePsk(a.psk, b.psk)
  );
}

function samePlaces(a: DesiredPeer, b: DesiredPeer): boolean {
  return a.endpoint === b.endpoint && a.candidates?.join() === b.candidates?.join();
}

/** What works a key out is the same for as long as the key is. */
function samePsk(a: PresharedKey, b: PresharedKey): boolean {
  if (typeof a === 'function' || typeof b === 'function') return a === b;
  return equalBytes(a, b);
}
