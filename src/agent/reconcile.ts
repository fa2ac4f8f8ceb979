import { equalBytes } from '../contract/encoding.ts';
import { NodeList } from '../contract/node-list.ts';
import type { DeviceChange, EpochKeys, PeerChange } from '../tunnel/create-tunnel.ts';
import { ANYWHERE, acceptableEndpoint } from '../wire/acceptable-endpoint.ts';
import { parseAddress, parseEndpoint } from '../wire/address-text.ts';
import type { Endpoint } from '../wire/endpoint.ts';

/** What is in force for one peer. */
export interface DesiredPeer {
  readonly nodeId: string;
  /** X25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Of its own (32 bytes, secret); without it the key is that of the epoch. */
  readonly key?: { readonly psk: Uint8Array; readonly generation: number };
  readonly sinceEpoch: number;
  readonly tunnelAddress: string;
  readonly endpoint: string | null;
  /** Where it may be as well. */
  readonly candidates?: readonly string[];
}

/** What a device has, or is to have. */
export interface DesiredPeers {
  readonly peers: NodeList<DesiredPeer>;
  /** For those that have none of their own. */
  readonly keys?: EpochKeys | undefined;
}

/**
 * The one change that takes the device from `before` to `after`, or undefined if there is none; `before` is
 * undefined where its content is unknown. Pure. A peer's key, PSK and allowed-ips go in one operation, so no
 * moment exists in which it has the one without the other. What stays is not said again: an epoch gives all
 * peers new keys at once, and few another address.
 */
export function reconcile(
  before: DesiredPeers | undefined,
  after: DesiredPeers,
): DeviceChange | undefined {
  const { keys } = after;
  const { removed, put } = after.peers.changesSince(before?.peers ?? NOBODY);
  const rekeyed = put.flatMap((peer) => {
    const old = before?.peers.get(peer.nodeId);
    return old && !equalBytes(old.publicKey, peer.publicKey) ? [old] : [];
  });
  const peers: PeerChange[] = [...removed, ...rekeyed].map(({ publicKey }) => ({
    publicKey,
    remove: true,
  }));
  for (const peer of put) {
    const change = peerChange(before?.peers.get(peer.nodeId), peer, keys?.generation);
    if (change) peers.push(change);
  }
  const epoch = keys !== undefined && keys !== before?.keys ? { epoch: keys } : {};
  if (before === undefined) return { replacePeers: true, ...epoch, peers };
  if (peers.length > 0) return { ...epoch, peers };
  return 'epoch' in epoch ? epoch : undefined;
}

/** The change that takes `nodes` off a device with the peers `before`, or undefined if it has none of them. */
export function removalOf(
  before: DesiredPeers | undefined,
  nodes: Iterable<string>,
): DeviceChange | undefined {
  if (before === undefined) return { replacePeers: true, peers: [] };
  const peers: PeerChange[] = [];
  for (const nodeId of nodes) {
    const peer = before.peers.get(nodeId);
    if (peer) peers.push({ publicKey: peer.publicKey, remove: true });
  }
  return peers.length === 0 ? undefined : { peers };
}

/** Only the removals of a change: what must hold even if the rest is refused. */
export function removalsOf(change: DeviceChange): DeviceChange {
  const peers = (change.peers ?? []).filter((peer) => peer.remove === true);
  return change.replacePeers === true ? { replacePeers: true, peers: [] } : { peers };
}

function peerChange(
  old: DesiredPeer | undefined,
  peer: DesiredPeer,
  generation: number | undefined,
): PeerChange | undefined {
  const known = old && equalBytes(old.publicKey, peer.publicKey) ? old : undefined;
  if (known && samePeer(known, peer)) return undefined;
  const { publicKey, key, sinceEpoch: expireBefore } = peer;
  const keyed = {
    publicKey,
    ...(key && { presharedKey: key.psk }),
    generation: key?.generation ?? generation!,
    expireBefore,
  };
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
    a.sinceEpoch === b.sinceEpoch &&
    a.tunnelAddress === b.tunnelAddress &&
    samePlaces(a, b) &&
    sameKey(a.key, b.key)
  );
}

function samePlaces(a: DesiredPeer, b: DesiredPeer): boolean {
  return a.endpoint === b.endpoint && a.candidates?.join() === b.candidates?.join();
}

function sameKey(a: DesiredPeer['key'], b: DesiredPeer['key']): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.generation === b.generation && equalBytes(a.psk, b.psk);
}

const NOBODY = NodeList.of<DesiredPeer>([]);
