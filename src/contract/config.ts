import type { CryptoProvider } from '../crypto/provider.ts';
import { concat, shortField, u64be } from './encoding.ts';
import { type Envelope, envelopeSchema, openEnvelope, PAYLOAD_TYPES } from './envelope.ts';
import {
  bytes32Field,
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
import { accepted, type Checked } from './problems.ts';
import { FIRST_PROTOCOL, protocolField } from './protocol.ts';
import type { Schema } from './schema.ts';

/**
 * What one node is told, signed by the controller: payload of the envelope that answers
 * `GET /v1/config/{node_id}`. It answers one request only: `nonce` is that request's.
 */
export interface ConfigDocument {
  /** The controller's protocol number. In the document from protocol 2 on. */
  readonly protocol: number;
  readonly mesh_id: string;
  /** The node this is for. */
  readonly audience: string;
  readonly epoch: number;
  /** Grows with every change, also within an epoch. Configs are ordered by (epoch, version). */
  readonly version: number;
  readonly nonce: string;
  /** Controller's wall clock, ms since 1970. For people; no rule depends on it. */
  readonly issued_at: number;
  /** Seconds from when the request was sent, on the node's boot clock. */
  readonly lifetime_s: number;
  /** Length of an epoch, seconds: scales the node's own intervals. */
  readonly epoch_s: number;
  /** How long superseded keypairs are still received on, seconds. */
  readonly grace_s: number;
  readonly allowed: boolean;
  /** Stable reason of the verdict, e.g. `score_below_threshold`. */
  readonly reason: string;
  /** The decision in a sentence, with the numbers and the rule. */
  readonly explanation: string;
  readonly tunnel_address: string;
  readonly tunnel_prefix: string;
  /** The other members, ids in byte order; empty for a denied node. */
  readonly peers: readonly ConfigPeer[];
  /** Every enrolled node but this one, denied ones too: what the probe asks. */
  readonly roster: readonly RosterEntry[];
  /** Null for a denied node and where there are no peers. */
  readonly sealed_psks: SealedPsks | null;
}

export interface ConfigPeer {
  readonly node_id: string;
  /** The peer's own signed key record. */
  readonly record: Envelope;
  readonly tunnel_address: string;
  readonly endpoint: string | null;
  /** Epoch since which it has been a member without a break. */
  readonly since_epoch: number;
}

export interface RosterEntry {
  readonly node_id: string;
  readonly tunnel_address: string;
  readonly allowed: boolean;
}

/** HPKE (RFC 9180): the peers' PSKs, 32 bytes each, in the order of `peers`. */
export interface SealedPsks {
  /** Base64, 32 bytes. */
  readonly enc: string;
  /** Base64, 32 x peers + 16 bytes. */
  readonly ciphertext: string;
}

/** Bounds every document. A full mesh of more than a thousand wants keys for pairs that talk only. */
export const MAX_PEERS = 10_000;

export const configOfProtocol1Schema = {
  type: 'object',
  required: [
    'mesh_id',
    'audience',
    'epoch',
    'version',
    'nonce',
    'issued_at',
    'lifetime_s',
    'epoch_s',
    'grace_s',
    'allowed',
    'reason',
    'explanation',
    'tunnel_address',
    'tunnel_prefix',
    'peers',
    'roster',
    'sealed_psks',
  ],
  additionalProperties: false,
  properties: {
    mesh_id: bytes32Field,
    audience: nodeIdField,
    epoch: counterField,
    version: counterField,
    nonce: nonceField,
    issued_at: timeField,
    lifetime_s: secondsField,
    epoch_s: secondsField,
    grace_s: secondsField,
    allowed: { type: 'boolean' },
    reason: reasonField,
    explanation: sentenceField,
    tunnel_address: tunnelAddressField,
    tunnel_prefix: tunnelPrefixField,
    peers: {
      type: 'array',
      maxItems: MAX_PEERS,
      items: {
        type: 'object',
        required: ['node_id', 'record', 'tunnel_address', 'endpoint', 'since_epoch'],
        additionalProperties: false,
        properties: {
          node_id: nodeIdField,
          record: envelopeSchema,
          tunnel_address: tunnelAddressField,
          endpoint: endpointField,
          since_epoch: counterField,
        },
      },
    },
    roster: {
      type: 'array',
      maxItems: MAX_PEERS,
      items: {
        type: 'object',
        required: ['node_id', 'tunnel_address', 'allowed'],
        additionalProperties: false,
        properties: {
          node_id: nodeIdField,
          tunnel_address: tunnelAddressField,
          allowed: { type: 'boolean' },
        },
      },
    },
    sealed_psks: {
      type: ['object', 'null'],
      required: ['enc', 'ciphertext'],
      additionalProperties: false,
      properties: {
        enc: bytes32Field,
        ciphertext: { type: 'string', minLength: 64, maxLength: 430_000 },
      },
    },
  },
} as const satisfies Schema;

export const configSchema = {
  ...configOfProtocol1Schema,
  required: [...configOfProtocol1Schema.required, 'protocol'],
  properties: { ...configOfProtocol1Schema.properties, protocol: protocolField },
} as const satisfies Schema;

/** The config in an envelope that one of `signers` signed, of whichever version. */
export function openConfig(
  crypto: CryptoProvider,
  value: unknown,
  signers: readonly Uint8Array[],
): Checked<ConfigDocument> {
  const { config, configOfProtocol1 } = PAYLOAD_TYPES;
  const opened = openEnvelope<ConfigDocument>(crypto, value, config, configSchema, signers);
  if (opened.ok) return accepted(opened.value.document);
  if (opened.problem.code !== 'envelope_type') return opened;
  const first = openEnvelope<Omit<ConfigDocument, 'protocol'>>(
    crypto,
    value,
    configOfProtocol1,
    configOfProtocol1Schema,
    signers,
  );
  if (first.ok) return accepted({ ...first.value.document, protocol: FIRST_PROTOCOL });
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
