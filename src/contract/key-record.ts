import type { CryptoProvider } from '../crypto/provider.ts';
import { fromBase64, toBase64 } from './encoding.ts';
import {
  type Envelope,
  PAYLOAD_TYPES,
  readEnvelope,
  signPayload,
  verifiedSigner,
} from './envelope.ts';
import { bytes32Field, nodeIdField } from './fields.ts';
import { exactly, type FromSchema } from './from-schema.ts';
import { accepted, type Checked, rejected } from './problems.ts';
import { isAcceptableEd25519, isAcceptableX25519 } from './public-keys.ts';

/** The three public keys of a node, bound to its name and mesh by its own signature. */
export interface KeyRecord {
  /** 32 bytes. */
  readonly meshId: Uint8Array;
  readonly nodeId: string;
  /** X25519, the WireGuard static key. */
  readonly wireguard: Uint8Array;
  /** Ed25519. */
  readonly signing: Uint8Array;
  /** X25519, for HPKE. */
  readonly sealing: Uint8Array;
}

/** The keys of a record as text. */
type KeyTexts = Readonly<Record<'wireguard' | 'signing' | 'sealing', string>>;

/** A record stays what it is: a member's is looked at in every epoch. */
const texts = new WeakMap<KeyRecord, KeyTexts>();

export function keyTexts(record: KeyRecord): KeyTexts {
  let known = texts.get(record);
  if (known === undefined) {
    const { wireguard, signing, sealing } = record;
    known = {
      wireguard: toBase64(wireguard),
      signing: toBase64(signing),
      sealing: toBase64(sealing),
    };
    texts.set(record, known);
  }
  return known;
}

const encoder = new TextEncoder();

export const keyRecordSchema = exactly({
  mesh_id: bytes32Field,
  node_id: nodeIdField,
  wireguard: bytes32Field,
  signing: bytes32Field,
  sealing: bytes32Field,
});

/** `signingSeed` must belong to `record.signing`. */
export function signKeyRecord(
  crypto: CryptoProvider,
  signingSeed: Uint8Array,
  record: KeyRecord,
): Envelope {
  return signPayload(crypto, signingSeed, PAYLOAD_TYPES.keyRecord, keyRecordPayload(record));
}

/** The bytes that a node signs: one form for each record, so that nobody needs to carry them. */
export function keyRecordPayload(record: KeyRecord): Uint8Array {
  const document: FromSchema<typeof keyRecordSchema> = {
    mesh_id: toBase64(record.meshId),
    node_id: record.nodeId,
    ...keyTexts(record),
  };
  return encoder.encode(JSON.stringify(document));
}

/**
 * The record in an envelope that its own signing key signed, with keys that are distinct and
 * usable. Says nothing about who the node is: that is what enrolment and pinning are for.
 */
export function openKeyRecord(crypto: CryptoProvider, value: unknown): Checked<KeyRecord> {
  const read = readEnvelope(value, PAYLOAD_TYPES.keyRecord, keyRecordSchema);
  if (!read.ok) return read;
  const { document } = read.value;
  const record: KeyRecord = {
    meshId: fromBase64(document.mesh_id, 32)!,
    nodeId: document.node_id,
    wireguard: fromBase64(document.wireguard, 32)!,
    signing: fromBase64(document.signing, 32)!,
    sealing: fromBase64(document.sealing, 32)!,
  };
  if (document.wireguard === document.sealing) {
    return rejected('key_record_invalid', { field: 'sealing', expected: 'a key of its own' });
  }
  if (document.signing === document.wireguard || document.signing === document.sealing) {
    return rejected('key_record_invalid', { field: 'signing', expected: 'a key of its own' });
  }
  for (const field of ['wireguard', 'sealing'] as const) {
    if (isAcceptableX25519(crypto, record[field])) continue;
    return rejected('key_record_invalid', { field, expected: 'an X25519 key of full order' });
  }
  if (!isAcceptableEd25519(record.signing)) {
    const expected = 'an Ed25519 key of full order in canonical form';
    return rejected('key_record_invalid', { field: 'signing', expected });
  }
  if (!verifiedSigner(crypto, read.value, [record.signing])) {
    return rejected('key_record_invalid', {
      field: 'signatures',
      expected: 'a signature of the record by its own signing key',
    });
  }
  return accepted(record);
}
