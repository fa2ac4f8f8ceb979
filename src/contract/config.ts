import type { CryptoProvider } from '../crypto/provider.ts';
import { concat, shortField, u64be } from './encoding.ts';
import { envelopeSchema, openEnvelope, PAYLOAD_TYPES } from './envelope.ts';
import {
  bytes32Field,
  candidatesField,
  counterField,
  endpointField,
  nodeIdField,
  nonceField,
  reasonField,
  secondsField,
  sentenceField,
  timeField,
  tunnelAddressField,
  tunnelPrefixField,
} from './fields.ts';
import { exactly, type FromSchema } from './from-schema.ts';
import { accepted, type Checked } from './problems.ts';
import { FIRST_PROTOCOL, protocolField } from './protocol.ts';

/** Bounds every document. A full mesh of more than a thousand wants keys for pairs that talk only. */
export const MAX_PEERS = 10_000;

const configPeerFields = {
  node_id: nodeIdField,
  /** The peer's own signed key record. */
  record: envelopeSchema,
  tunnel_address: tunnelAddressField,
  endpoint: endpointField,
  /** Epoch since which it has been a member without a break. */
  since_epoch: counterField,
} as const;

const configPeerOfProtocol1Schema = exactly(configPeerFields);
const configPeerSchema = exactly(configPeerFields, {
  /** Where it may be as well; absent: nowhere else. */
  candidates: candidatesField,
});

export type ConfigPeer = FromSchema<typeof configPeerSchema>;

export const rosterEntrySchema = exactly({
  node_id: nodeIdField,
  tunnel_address: tunnelAddressField,
  allowed: { type: 'boolean' },
});

export type RosterEntry = FromSchema<typeof rosterEntrySchema>;

/** HPKE (RFC 9180): the peers' PSKs, 32 bytes each, in the order of `peers`. */
const sealedPsksSchema = exactly({
  /** Base64, 32 bytes. */
  enc: bytes32Field,
  /** Base64, 32 x peers + 16 bytes. */
  ciphertext: { type: 'string', minLength: 64, maxLength: 430_000 },
});

export type SealedPsks = FromSchema<typeof sealedPsksSchema>;

export const configOfProtocol1Schema = exactly({
  mesh_id: bytes32Field,
  /** The node this is for. */
  audience: nodeIdField,
  epoch: counterField,
  /** Grows with every change, also within an epoch. Configs are ordered by (epoch, version). */
  version: counterField,
  nonce: nonceField,
  /** Controller's wall clock, ms since 1970. For people; no rule depends on it. */
  issued_at: timeField,
  /** Seconds from when the request was sent, on the node's boot clock. */
  lifetime_s: secondsField,
  /** Length of an epoch, seconds: scales the node's own intervals. */
  epoch_s: secondsField,
  /** How long superseded keypairs are still received on, seconds. */
  grace_s: secondsField,
  allowed: { type: 'boolean' },
  /** Stable reason of the verdict, e.g. `score_below_threshold`. */
  reason: reasonField,
  /** The decision in a sentence, with the numbers and the rule. */
  explanation: sentenceField,
  tunnel_address: tunnelAddressField,
  tunnel_prefix: tunnelPrefixField,
  /** The other members, ids in byte order; empty for a denied node. */
  peers: { type: 'array', maxItems: MAX_PEERS, items: configPeerOfProtocol1Schema },
  /** Every enrolled node but this one, denied ones too: what the probe asks. */
  roster: { type: 'array', maxItems: MAX_PEERS, items: rosterEntrySchema },
  /** Null for a denied node and where there are no peers. */
  sealed_psks: { ...sealedPsksSchema, type: ['object', 'null'] },
});

/** The header of the epoch, and what it covers of the node itself. */
const configHeaderSchema = exactly({
  /** Base64, 32 bytes. */
  hash: bytes32Field,
  /** Base64 of the entry that others are told of this node; null for a denied one. */
  entry: { type: ['string', 'null'], maxLength: 1024 },
});

export type ConfigHeader = FromSchema<typeof configHeaderSchema>;

/**
 * What one node is told, signed by the controller: payload of the envelope that answers
 * `GET /v1/config/{node_id}`. It answers one request only: `nonce` is that request's.
 */
export const configSchema = exactly(
  {
    ...configOfProtocol1Schema.properties,
    peers: { type: 'array', maxItems: MAX_PEERS, items: configPeerSchema },
    /** The controller's number. */
    protocol: protocolField,
    /** Null in an epoch that has none: one that a controller of protocol 1 committed. */
    header: { ...configHeaderSchema, type: ['object', 'null'] },
  },
  {
    /** The log's newest checkpoint, a signed note. */
    checkpoint: { type: 'string', maxLength: 65_536 },
  },
);

export type ConfigDocument = FromSchema<typeof configSchema>;

/** The config in an envelope that one of `signers` signed, of whichever version. */
export function openConfig(
  crypto: CryptoProvider,
  value: unknown,
  signers: readonly Uint8Array[],
): Checked<ConfigDocument> {
  const { config, configOfProtocol1 } = PAYLOAD_TYPES;
  const opened = openEnvelope(crypto, value, config, configSchema, signers);
  if (opened.ok) return accepted(opened.value.document);
  if (opened.problem.code !== 'envelope_type') return opened;
  const first = openEnvelope(crypto, value, configOfProtocol1, configOfProtocol1Schema, signers);
  if (first.ok)
    return accepted({ ...first.value.document, protocol: FIRST_PROTOCOL, header: null });
  return first.problem.code === 'envelope_type' ? opened : first;
}

/** Strong ETag of a config: names what it says, not the request it answers. */
export function configEtag(nodeId: string, epoch: number, version: number): string {
  return `"${nodeId}.${epoch}.${version}"`;
}

/** Negative if a is older than b. Configs and stream events are ordered by (epoch, version). */
export function compareVersions(
  a: { readonly epoch: number; readonly version: number },
  b: { readonly epoch: number; readonly version: number },
): number {
  return a.epoch - b.epoch || a.version - b.version;
}

const PEER_LIST_LABEL = new TextEncoder().encode('aligned-meshnet peer list v1\0');
const encoder = new TextEncoder();

/** What identifies a peer to the seal. */
export interface ListedPeer {
  readonly nodeId: string;
  readonly wireguard: Uint8Array;
  readonly sinceEpoch: number;
}

/** u8 length and bytes of the id, the WireGuard public key (32), u64be since_epoch. */
export function peerListEntry({ nodeId, wireguard, sinceEpoch }: ListedPeer): Uint8Array {
  return concat(shortField(encoder.encode(nodeId)), wireguard, u64be(sinceEpoch));
}

/** SHA-256 of the peer list as the seal binds it: the entries of all peers, in order. */
export function peerListHash(crypto: CryptoProvider, peers: readonly ListedPeer[]): Uint8Array {
  return hashOfEntries(crypto, peers.map(peerListEntry));
}

/** The same where the entries are there already. */
export function hashOfEntries(crypto: CryptoProvider, entries: readonly Uint8Array[]): Uint8Array {
  return crypto.sha256(PEER_LIST_LABEL, Buffer.concat(entries));
}
