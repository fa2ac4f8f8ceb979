import type { CryptoProvider } from '../../crypto/provider.ts';
import { MAX_PEERS } from '../config.ts';
import { concat, fromBase64, toBase64 } from '../encoding.ts';
import { type Envelope, openEnvelope, PAYLOAD_TYPES } from '../envelope.ts';
import {
  bytes32Field,
  counterField,
  nodeIdField,
  secondsField,
  TO_MEMBERS,
  timeField,
} from '../fields.ts';
import { atLeast, type FromSchema } from '../from-schema.ts';
import { signingKeyId } from '../ids.ts';
import { accepted, type Checked, rejected } from '../problems.ts';
import type { Schema } from '../schema.ts';
import { SEAL_KINDS } from './seal-kinds.ts';

/** More names than this, added and changed together, a header does not list. */
export const MAX_LISTED_CHANGES = 1000;

export const HEADER_EVENT_NAME = 'header';

const namesField = {
  type: ['array', 'null'],
  maxItems: MAX_LISTED_CHANGES,
  items: nodeIdField,
} as const satisfies Schema;

/** What differs from the membership of the header before. Ids in byte order. */
const changesSchema = atLeast({
  /** Members then, and not any more. Always whole: these are to be acted upon at once. */
  removed: { type: 'array', maxItems: MAX_PEERS, items: nodeIdField },
  /** Null, together with `changed`: too many to be listed. */
  added: namesField,
  changed: namesField,
});

export type HeaderChanges = FromSchema<typeof changesSchema>;

/**
 * What an epoch is: one per (epoch, version), signed once, the same bytes for everyone. Payload of the
 * envelope at `GET /v1/header`, and of the event `header` on every stream. Fields that a reader does not
 * know are for later readers: the hash covers them, too.
 */
export const headerSchema = atLeast(
  {
    mesh_id: bytes32Field,
    audience: { type: 'string', const: TO_MEMBERS },
    epoch: counterField,
    version: counterField,
    /** Base64 of the hash of the header before; null for the first, and after a restored backup. */
    previous: { ...bytes32Field, type: ['string', 'null'] },
    /** Controller's wall clock at the commit, ms since 1970. */
    issued_at: timeField,
    epoch_s: secondsField,
    lifetime_s: secondsField,
    grace_s: secondsField,
    /** Number of members. */
    count: { type: 'integer', minimum: 0, maximum: MAX_PEERS },
    /** Base64 of the root of the membership tree. */
    members_root: bytes32Field,
    /** Where the keys of the epoch are: in configs, while a member speaks protocol 1, or sealed under seals. */
    keys: { type: 'string', enum: ['config', ...SEAL_KINDS] },
    changes: changesSchema,
  },
  {
    /** The log as it was before this epoch: a signed note, without cosignatures. */
    checkpoint: { type: 'string', maxLength: 4096 },
  },
);

export type HeaderDocument = FromSchema<typeof headerSchema>;

/** `?epoch=`: the number of an epoch, as text. Without it: the present one. */
export const headerQuerySchema = {
  type: 'object',
  properties: {
    epoch: {
      type: 'string',
      pattern: '^(?:0|[1-9][0-9]{0,14})$',
      description: 'the number of an epoch',
    },
  },
} as const satisfies Schema;

const HASH_LABEL = new TextEncoder().encode('aligned-meshnet header v1\0');

/** Name (32 bytes) of a header: SHA-256 of a label and the signed payload, whoever signed it. */
export function headerHash(crypto: CryptoProvider, payload: Uint8Array): Uint8Array {
  return crypto.sha256(HASH_LABEL, payload);
}

const SIGNATURE_LENGTH = 64;

/** A header with one signature in as few bytes as can be: the signature (64 bytes), the payload. */
export function packHeader({ payload, signatures }: Envelope): Uint8Array {
  return concat(fromBase64(signatures[0]!.sig, SIGNATURE_LENGTH)!, fromBase64(payload)!);
}

/** The envelope of what was packed, unverified. `signer`: whose signature it says it is (Ed25519). */
export function unpackHeader(
  crypto: CryptoProvider,
  signer: Uint8Array,
  packed: Uint8Array,
): Envelope {
  return {
    payloadType: PAYLOAD_TYPES.header,
    payload: toBase64(packed.subarray(SIGNATURE_LENGTH)),
    signatures: [
      { keyid: signingKeyId(crypto, signer), sig: toBase64(packed.subarray(0, SIGNATURE_LENGTH)) },
    ],
  };
}

/** A header that a controller of this mesh has signed. */
export interface Header {
  readonly document: HeaderDocument;
  readonly envelope: Envelope;
  /** 32 bytes. */
  readonly hash: Uint8Array;
  /** 32 bytes; undefined where the document says null. */
  readonly previous: Uint8Array | undefined;
  /** 32 bytes. */
  readonly membersRoot: Uint8Array;
}

/** Reads and verifies; `signers` are the controllers' Ed25519 public keys. */
export function openHeader(
  crypto: CryptoProvider,
  value: unknown,
  meshId: string,
  signers: readonly Uint8Array[],
): Checked<Header> {
  const opened = openEnvelope(crypto, value, PAYLOAD_TYPES.header, headerSchema, signers);
  if (!opened.ok) return opened;
  const { document, payload, envelope } = opened.value;
  if (document.mesh_id !== meshId) return rejected('wrong_mesh', { field: 'mesh_id' });
  const { previous, changes } = document;
  if ((changes.added === null) !== (changes.changed === null)) {
    return rejected('invalid_field', { field: 'changes', expected: 'both lists, or neither' });
  }
  return accepted({
    document,
    envelope,
    hash: headerHash(crypto, payload),
    previous: previous === null ? undefined : fromBase64(previous, 32)!,
    membersRoot: fromBase64(document.members_root, 32)!,
  });
}
