import {
  type ConfigDocument,
  type ConfigPeer,
  compareVersions,
  openConfig,
  peerListHash,
  type RosterEntry,
} from '../contract/config.ts';
import { equalBytes, fromBase64, toBase64 } from '../contract/encoding.ts';
import { type KeyRecord, keyTexts } from '../contract/key-record.ts';
import { NodeList } from '../contract/node-list.ts';
import { openPsks } from '../contract/sealed-psks.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { EpochKeys } from '../tunnel/create-tunnel.ts';
import { type NamedHeader, namedHeader, type OwnKeys } from './config-header.ts';
import type { ConfigAnswer } from './controller-client.ts';
import type { NodeKeys } from './node-keys.ts';
import type { Mark } from './node-state.ts';
import type { PinCheck } from './pins.ts';
import type { DesiredPeer } from './reconcile.ts';
import type { RecordCache } from './record-cache.ts';

/** A config that is the controller's, for us, fresh, newest, and complete. */
export interface AcceptedConfig {
  readonly document: InForceDocument;
  /** The controller's number. */
  readonly protocol: number;
  /** Of the controller's log; undefined from a controller that has none. */
  readonly checkpoint: string | undefined;
  /** Peers whose keys contradict a pin are not among them. */
  readonly peers: NodeList<AcceptedPeer>;
  /** Of the peers that have none of their own. The same object for as long as they are the same. */
  readonly keys?: EpochKeys;
  readonly roster: readonly RosterEntry[];
  /** Undefined: it names no header. */
  readonly header: NamedHeader | undefined;
  /** Boot clock, seconds: past this the config is worth nothing. */
  readonly expiresAt: number;
  readonly etag: string | undefined;
}

/** What holds of an epoch for this node, from a config or from a lease and its header. */
export type InForceDocument = Pick<
  ConfigDocument,
  'epoch' | 'version' | 'issued_at' | 'lifetime_s' | 'allowed' | 'reason' | 'explanation'
>;

export interface AcceptedPeer extends DesiredPeer {
  readonly record: KeyRecord;
}

/** Why an answer is not acted upon; each is a counter. */
export type IgnoredReason =
  | 'malformed'
  | 'bad_signature'
  | 'wrong_mesh'
  | 'wrong_audience'
  | 'wrong_nonce'
  | 'older'
  | 'too_far'
  | 'expired'
  | 'inconsistent'
  | 'bad_key_record'
  | 'bad_seal'
  | 'zero_psk'
  | 'no_header'
  | 'forked_log'
  | 'wrong_members';

export interface OwnIdentity extends OwnKeys {
  readonly meshId: Uint8Array;
  readonly nodeId: string;
  readonly controllerKey: Uint8Array;
  /** X25519 private keys, 32 bytes each. */
  readonly wireguard: Uint8Array;
  readonly sealing: Uint8Array;
  /** Addresses of the mesh, and seconds of an epoch, as at enrolment. */
  readonly tunnelPrefix: string;
  readonly epochS: number;
}

export interface IgnoredConfig {
  readonly ignored: IgnoredReason;
  readonly detail: string;
}

export type Judgement =
  | {
      readonly config: AcceptedConfig;
      /** Peers whose keys contradict a pin: left out. */
      readonly refusedPeers: readonly string[];
      /** Peers with a new key where the pin could be let go of: taken. */
      readonly changedPeers: readonly string[];
    }
  | IgnoredConfig;

/**
 * Judges the answer to one config request. Nothing is applied or remembered here, so an answer
 * that is ignored leaves no trace. `mark` is the highest (epoch, version) seen before.
 */
export async function judgeConfig(
  crypto: CryptoProvider,
  own: OwnIdentity,
  answer: ConfigAnswer,
  mark: Mark,
  bootNow: number,
  pins: PinCheck,
  recordCache: RecordCache,
): Promise<Judgement> {
  const opened = openConfig(crypto, answer.body, [own.controllerKey]);
  if (!opened.ok) {
    const { code, field, expected } = opened.problem;
    const reason = code === 'envelope_signature' ? 'bad_signature' : 'malformed';
    return ignore(reason, `${field ?? 'envelope'}: expected ${expected ?? 'a valid signature'}`);
  }
  const document = opened.value;
  if (document.mesh_id !== toBase64(own.meshId)) return ignore('wrong_mesh', document.mesh_id);
  if (document.audience !== own.nodeId) return ignore('wrong_audience', document.audience);
  if (document.nonce !== answer.nonce) return ignore('wrong_nonce', 'answers another request');
  if (compareVersions(document, mark) < 0) {
    const seen = `${mark.epoch}.${mark.version}`;
    return ignore('older', `${document.epoch}.${document.version} is older than ${seen}`);
  }
  if (isTooFar(document, mark)) {
    return ignore(
      'too_far',
      `${document.epoch}.${document.version} is no step from ${mark.epoch}.${mark.version}`,
    );
  }
  if (document.tunnel_prefix !== own.tunnelPrefix) {
    const detail = `tunnel_prefix ${document.tunnel_prefix} is not ${own.tunnelPrefix}, that of the enrolment`;
    return ignore('inconsistent', detail);
  }
  const expiresAt = answer.sentAt + document.lifetime_s;
  if (bootNow >= expiresAt) return ignore('expired', 'arrived after its lifetime');

  const contradiction = sealContradictionIn(document) ?? contradictionIn(document);
  if (contradiction !== undefined) return ignore('inconsistent', contradiction);
  const records: KeyRecord[] = [];
  recordCache.nextConfig();
  for (const peer of document.peers) {
    const record = recordCache.open(peer.record);
    if (!record.ok) return ignore('bad_key_record', `${peer.node_id}: ${record.problem.title}`);
    if (record.value.nodeId !== peer.node_id || !equalBytes(record.value.meshId, own.meshId)) {
      return ignore('bad_key_record', `${peer.node_id}: is the record of another node or mesh`);
    }
    records.push(record.value);
  }
  if (!distinctKeys(own, records)) {
    return ignore('bad_key_record', 'two nodes have the same key');
  }

  const header = namedHeader(crypto, own, document, records);
  if (typeof header === 'string') return ignore('inconsistent', header);

  const psks = await openedPsks(crypto, own, document, records);
  if (!psks) return ignore('bad_seal', 'the sealed PSKs do not open');
  if (psks.some((psk) => psk.every((byte) => byte === 0))) {
    return ignore('zero_psk', 'a PSK is all zero');
  }

  const refusedPeers: string[] = [];
  const changedPeers: string[] = [];
  const peers: AcceptedPeer[] = [];
  for (const [i, peer] of document.peers.entries()) {
    const record = records[i]!;
    const verdict = pins(record);
    if (verdict === 'refused') refusedPeers.push(peer.node_id);
    else peers.push(acceptedPeer(peer, record, { psk: psks[i]!, generation: document.epoch }));
    if (verdict === 'changed') changedPeers.push(peer.node_id);
  }
  const { roster } = document;
  const { protocol, checkpoint } = document;
  const config = {
    document,
    protocol,
    checkpoint,
    peers: NodeList.of(peers),
    roster,
    header,
    expiresAt,
    etag: answer.etag,
  };
  return { config, refusedPeers, changedPeers };
}

/**
 * Epochs and versions only grow, so one that is taken too high could never be got past again. They may
 * jump (a restored controller does, by a million), but not to where there is no more room.
 */
const MAX_JUMP = 100_000_000;
const LAST = 2 ** 52;

export function isTooFar(next: Mark, mark: Mark): boolean {
  // Without anything seen before, the mesh may be of any age.
  const limit = (seen: number): number => (seen === 0 ? LAST : Math.min(LAST, seen + MAX_JUMP));
  return next.epoch > limit(mark.epoch) || next.version > limit(mark.version);
}

function ignore(ignored: IgnoredReason, detail: string): Judgement {
  return { ignored, detail };
}

function acceptedPeer(
  peer: ConfigPeer,
  record: KeyRecord,
  key: NonNullable<DesiredPeer['key']>,
): AcceptedPeer {
  return {
    nodeId: peer.node_id,
    record,
    publicKey: record.wireguard,
    tunnelAddress: peer.tunnel_address,
    endpoint: peer.endpoint,
    ...(peer.candidates === undefined ? {} : { candidates: peer.candidates }),
    sinceEpoch: peer.since_epoch,
    key,
  };
}

/** What an honest controller never says. */
function contradictionIn(document: ConfigDocument): string | undefined {
  const { peers, audience } = document;
  const addresses = new Set([document.tunnel_address]);
  for (const [i, peer] of peers.entries()) {
    if (peer.node_id === audience) return 'the node is its own peer';
    if (i > 0 && peers[i - 1]!.node_id >= peer.node_id) return 'peers are not in byte order';
    if (peer.since_epoch > document.epoch) return `${peer.node_id}: member since a later epoch`;
    if (addresses.has(peer.tunnel_address)) return `${peer.node_id}: tunnel address given twice`;
    addresses.add(peer.tunnel_address);
    if (!inPrefix(peer.tunnel_address, document.tunnel_prefix)) {
      return `${peer.node_id}: tunnel address outside ${document.tunnel_prefix}`;
    }
  }
  return undefined;
}

function sealContradictionIn(document: ConfigDocument): string | undefined {
  const { peers, allowed, sealed_psks } = document;
  if (!allowed && peers.length > 0) return 'peers for a denied node';
  return (sealed_psks !== null) !== peers.length > 0 ? 'PSKs do not match the peers' : undefined;
}

export function inPrefix(address: string, prefix: string): boolean {
  const slash = prefix.indexOf('/');
  const shift = 32 - Number(prefix.slice(slash + 1));
  if (shift === 32) return true;
  return ipv4Number(address) >>> shift === ipv4Number(prefix.slice(0, slash)) >>> shift;
}

/** Of an address that was checked. */
function ipv4Number(address: string): number {
  let [value, octet] = [0, 0];
  for (let at = 0; at < address.length; at++) {
    const digit = address.charCodeAt(at) - 48;
    if (digit >= 0) octet = 10 * octet + digit;
    else [value, octet] = [(value << 8) | octet, 0]; // a dot
  }
  return ((value << 8) | octet) >>> 0;
}

function distinctKeys(
  own: Pick<OwnIdentity, 'wireguardPublic'>,
  records: readonly KeyRecord[],
): boolean {
  const keys = new Set([toBase64(own.wireguardPublic)]);
  for (const record of records) keys.add(keyTexts(record).wireguard);
  return keys.size === records.length + 1;
}

async function openedPsks(
  crypto: CryptoProvider,
  own: OwnIdentity,
  document: ConfigDocument,
  records: readonly KeyRecord[],
): Promise<Uint8Array[] | undefined> {
  if (document.sealed_psks === null) return [];
  const peers = records.map((record, i) => ({
    nodeId: record.nodeId,
    wireguard: record.wireguard,
    sinceEpoch: document.peers[i]!.since_epoch,
  }));
  return openPsks(own.sealing, document.sealed_psks, peers.length, {
    meshId: own.meshId,
    nodeId: own.nodeId,
    epoch: document.epoch,
    version: document.version,
    peerList: peerListHash(crypto, peers),
  });
}

/** The enrolment's fields as bytes. */
export function ownIdentity(
  crypto: CryptoProvider,
  enrolment: {
    readonly mesh_id: string;
    readonly node_id: string;
    readonly controller_key: string;
    readonly tunnel_prefix: string;
    readonly epoch_s: number;
  },
  keys: NodeKeys,
): OwnIdentity {
  return {
    meshId: fromBase64(enrolment.mesh_id, 32)!,
    nodeId: enrolment.node_id,
    controllerKey: fromBase64(enrolment.controller_key, 32)!,
    wireguardPublic: crypto.x25519Public(keys.wireguard),
    signingPublic: crypto.ed25519Public(keys.signing),
    sealingPublic: crypto.x25519Public(keys.sealing),
    wireguard: keys.wireguard,
    sealing: keys.sealing,
    tunnelPrefix: enrolment.tunnel_prefix,
    epochS: enrolment.epoch_s,
  };
}
