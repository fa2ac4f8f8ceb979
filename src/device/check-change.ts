import { isZero } from '../crypto/bytes.ts';
import { isMaskedX25519 } from '../crypto/x25519-keys.ts';
import { ANYWHERE, endpointFault, explainEndpointFault } from '../wire/acceptable-endpoint.ts';
import { formatEndpoint } from '../wire/address-text.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import type { Prefix } from '../wire/prefix.ts';
import { type DeviceChange, LARGEST, type PeerChange } from './config.ts';
import { TunnelError } from './tunnel-error.ts';

function invalid(field: string, expected: string): never {
  throw new TunnelError('invalid_argument', `${field}: expected ${expected}`);
}

function checkKey(field: string, key: Uint8Array): void {
  if (!(key instanceof Uint8Array) || key.length !== 32) invalid(field, 'a key of 32 bytes');
}

function checkInteger(field: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    invalid(field, `an integer from 0 to ${max}`);
  }
}

/** Those that are there. */
function checkNumbers<Name extends string>(
  prefix: string,
  given: { readonly [N in NoInfer<Name>]?: number },
  largest: { readonly [N in Name]: number },
): void {
  for (const [name, max] of Object.entries(largest) as [Name, number][]) {
    const value = given[name];
    if (value !== undefined) checkInteger(`${prefix}${name}`, value, max);
  }
}

function checkAddress(field: string, address: Uint8Array): void {
  if (!(address instanceof Uint8Array) || (address.length !== 4 && address.length !== 16)) {
    invalid(field, 'an address of 4 or 16 bytes');
  }
}

function checkPrefix(field: string, prefix: Prefix): void {
  checkAddress(`${field}.address`, prefix.address);
  checkInteger(`${field}.length`, prefix.length, prefix.address.length * 8);
}

/**
 * What is no endpoint anywhere is refused. One inside the tunnel, or the device's own socket, is taken:
 * whether it is one changes with other peers' allowed-ips and with the machine's addresses, so it is
 * looked at whenever something is to be sent there.
 */
function checkEndpoint(field: string, endpoint: Endpoint): void {
  checkAddress(`${field}.address`, endpoint.address);
  if (endpoint.address.length !== (endpoint.family === 4 ? 4 : 16)) {
    invalid(`${field}.family`, 'the family of its address');
  }
  checkInteger(`${field}.port`, endpoint.port, 0xffff);
  const fault = endpointFault(endpoint, ANYWHERE);
  if (fault !== undefined) {
    const text = explainEndpointFault(formatEndpoint(endpoint), fault);
    throw new TunnelError('invalid_argument', `${field}: ${text}`);
  }
}

function checkPeer(field: string, peer: PeerChange): void {
  checkKey(`${field}.publicKey`, peer.publicKey);
  if (isMaskedX25519(peer.publicKey)) {
    invalid(`${field}.publicKey`, 'a key with bit 255 clear, as X25519 takes it');
  }
  if (peer.presharedKey !== undefined && typeof peer.presharedKey !== 'function') {
    checkKey(`${field}.presharedKey`, peer.presharedKey);
  }
  if (peer.endpoint !== undefined) checkEndpoint(`${field}.endpoint`, peer.endpoint);
  peer.candidates?.forEach((candidate, i) => {
    checkEndpoint(`${field}.candidates[${i}]`, candidate);
  });
  checkNumbers(`${field}.`, peer, LARGEST.peer);
  peer.allowedIps?.forEach((change, i) => {
    checkPrefix(`${field}.allowedIps[${i}]`, change.prefix);
  });
}

/**
 * Throws a `TunnelError` naming the first wrong field. Nothing has been applied yet.
 * `peerOf` finds the device's present peer for a public key.
 */
export function checkChange(
  change: DeviceChange,
  limits: { requirePsk: boolean; freePeers: number; maxPeers: number; epoch: number },
  peerOf: (
    publicKey: Uint8Array,
  ) => { generation: number; presharedKey: { isSet: boolean } } | undefined,
): void {
  if (change.privateKey !== undefined) checkKey('privateKey', change.privateKey);
  checkNumbers('', change, LARGEST.device);
  const epoch = change.epoch?.generation ?? limits.epoch;
  if (change.epoch !== undefined) {
    checkNumbers('epoch.', change.epoch, LARGEST.epoch);
    const least = Math.max(1, limits.epoch);
    if (epoch < least) invalid('epoch.generation', `at least ${least}`);
  }
  let added = 0;
  change.peers?.forEach((peer, i) => {
    const field = `peers[${i}]`;
    checkPeer(field, peer);
    if (peer.remove) return;
    const present = change.replacePeers ? undefined : peerOf(peer.publicKey);
    if (present === undefined && peer.updateOnly) return;
    if (present === undefined) added++;
    const followsEpoch = peer.generation !== undefined && peer.presharedKey === undefined;
    if (followsEpoch && (peer.generation === 0 || peer.generation > epoch)) {
      invalid(`${field}.generation`, `the key that it belongs to, or one of the device's epochs`);
    }
    if (present !== undefined && (peer.generation ?? present.generation) < present.generation) {
      invalid(`${field}.generation`, `at least ${present.generation}, the one in use`);
    }
    const hasPsk =
      peer.presharedKey === undefined
        ? followsEpoch || (present?.presharedKey.isSet ?? false)
        : typeof peer.presharedKey === 'function' || !isZero(peer.presharedKey);
    if (limits.requirePsk && !hasPsk) {
      throw new TunnelError(
        'psk_required',
        `${field}.presharedKey: this device accepts peers with a pre-shared key only`,
      );
    }
  });
  if (added > limits.freePeers) {
    throw new TunnelError(
      'limit_exceeded',
      `peers: ${added} to be added, and there is room for ${limits.freePeers}: this device takes ${limits.maxPeers} (maxPeers, MESH_MAX_PEERS), counting those it is about to remove`,
    );
  }
}
