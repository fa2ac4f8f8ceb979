import type { CryptoProvider } from '../../crypto/provider.ts';
import { openEnvelope, PAYLOAD_TYPES } from '../envelope.ts';
import {
  bytes32Field,
  counterField,
  nodeIdField,
  nonceField,
  reasonField,
  sentenceField,
  timeField,
  tunnelAddressField,
  tunnelPrefixField,
} from '../fields.ts';
import { atLeast, type FromSchema } from '../from-schema.ts';
import { accepted, type Checked } from '../problems.ts';

/**
 * What a node is at this moment, in an answer to one request: payload of the envelope that answers
 * `GET /v1/lease/{node_id}`. It is worth the header's `lifetime_s` from when it was asked for, on the
 * node's boot clock; nothing else extends a membership, and nothing else tells the controller's time.
 */
export const leaseSchema = atLeast({
  mesh_id: bytes32Field,
  audience: nodeIdField,
  nonce: nonceField,
  /** Controller's wall clock, ms since 1970. */
  now: timeField,
  epoch: counterField,
  version: counterField,
  /** Base64 of the hash of the header of this epoch. */
  header: bytes32Field,
  allowed: { type: 'boolean' },
  reason: reasonField,
  explanation: sentenceField,
  tunnel_address: tunnelAddressField,
  tunnel_prefix: tunnelPrefixField,
  /** Base64 of the name of the list of enrolled nodes that the node does not hold as members. */
  roster: bytes32Field,
  /** The log's newest checkpoint, a signed note. */
  checkpoint: { type: 'string', maxLength: 65_536 },
});

export type LeaseDocument = FromSchema<typeof leaseSchema>;

/** Reads and verifies; `signers` are the controllers' Ed25519 public keys. */
export function openLease(
  crypto: CryptoProvider,
  value: unknown,
  signers: readonly Uint8Array[],
): Checked<LeaseDocument> {
  const opened = openEnvelope(crypto, value, PAYLOAD_TYPES.lease, leaseSchema, signers);
  return opened.ok ? accepted(opened.value.document) : opened;
}
