import type { CryptoProvider } from '../crypto/provider.ts';
import { concat, fromBase64, parseJson, toBase64 } from './encoding.ts';
import { exactly, type FromSchema } from './from-schema.ts';
import { signingKeyId } from './ids.ts';
import { accepted, type Checked, rejected } from './problems.ts';
import { type Schema, violation } from './schema.ts';

/** Each version of each kind of message has its own payload type, and exactly the fields of that version. */
export const PAYLOAD_TYPES = {
  keyRecord: 'application/vnd.aligned-meshnet.key-record.v1+json',
  enrolment: 'application/vnd.aligned-meshnet.enrolment.v1+json',
  enrolmentAnswer: 'application/vnd.aligned-meshnet.enrolment-answer.v1+json',
  benchmark: 'application/vnd.aligned-meshnet.benchmark.v1+json',
  reach: 'application/vnd.aligned-meshnet.reach.v1+json',
  /** For nodes of protocol 1. */
  configOfProtocol1: 'application/vnd.aligned-meshnet.config.v1+json',
  config: 'application/vnd.aligned-meshnet.config.v2+json',
  streamEvent: 'application/vnd.aligned-meshnet.stream-event.v1+json',
  receipt: 'application/vnd.aligned-meshnet.receipt.v1+json',
  header: 'application/vnd.aligned-meshnet.header.v1+json',
  seals: 'application/vnd.aligned-meshnet.seals.v1+json',
  lease: 'application/vnd.aligned-meshnet.lease.v1+json',
} as const;

export type PayloadType = (typeof PAYLOAD_TYPES)[keyof typeof PAYLOAD_TYPES];

const MAX_SIGNATURES = 8;

/**
 * DSSE v1 envelopes (github.com/secure-systems-lab/dsse): the signature is over the exact payload
 * bytes together with their type, so there is no canonical JSON and no signature can be taken for
 * one over another kind of message.
 */
export const envelopeSchema = exactly({
  payloadType: { type: 'string', minLength: 1, maxLength: 128 },
  /** Base64 of the payload bytes. */
  payload: { type: 'string', minLength: 1, maxLength: 8_388_608 },
  signatures: {
    type: 'array',
    minItems: 1,
    maxItems: MAX_SIGNATURES,
    items: exactly({
      keyid: { type: 'string', maxLength: 128 },
      /** Base64 of the 64-byte Ed25519 signature over PAE(payloadType, payload). */
      sig: { type: 'string', minLength: 88, maxLength: 88 },
    }),
  },
});

export type Envelope = FromSchema<typeof envelopeSchema>;

const encoder = new TextEncoder();

/** Pre-authentication encoding: `DSSEv1 SP len(type) SP type SP len(body) SP body`. */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = encoder.encode(payloadType);
  const head = encoder.encode(`DSSEv1 ${type.length} `);
  const middle = encoder.encode(` ${payload.length} `);
  return concat(head, type, middle, payload);
}

/** Signs `document` (serialised here) with an Ed25519 seed (32 bytes). */
export function signEnvelope(
  crypto: CryptoProvider,
  seed: Uint8Array,
  payloadType: PayloadType,
  document: object,
): Envelope {
  return signPayload(crypto, seed, payloadType, encoder.encode(JSON.stringify(document)));
}

/** The same for a document that is serialised already. */
export function signPayload(
  crypto: CryptoProvider,
  seed: Uint8Array,
  payloadType: PayloadType,
  payload: Uint8Array,
): Envelope {
  const sig = crypto.ed25519Sign(seed, preAuthEncoding(payloadType, payload));
  return {
    payloadType,
    payload: toBase64(payload),
    signatures: [{ keyid: signingKeyId(crypto, crypto.ed25519Public(seed)), sig: toBase64(sig) }],
  };
}

/** An envelope whose shape and payload are well-formed, before anybody believes it. */
export interface ReadEnvelope<T> {
  readonly document: T;
  readonly payload: Uint8Array;
  readonly envelope: Envelope;
}

/**
 * Reads an envelope without verifying it: checks its shape, its type and its payload's schema.
 * The document only tells *whose* signature to expect.
 */
export function readEnvelope<const S extends Schema>(
  value: unknown,
  payloadType: PayloadType,
  schema: S,
): Checked<ReadEnvelope<FromSchema<S>>> {
  const badShape = violation(envelopeSchema, value);
  if (badShape) return rejected('envelope_malformed', badShape);
  const envelope = value as Envelope;
  if (envelope.payloadType !== payloadType) {
    return rejected('envelope_type', { field: 'payloadType', expected: payloadType });
  }
  const payload = fromBase64(envelope.payload);
  if (!payload) {
    return rejected('envelope_malformed', { field: 'payload', expected: 'canonical base64' });
  }
  const document = parseJson(payload);
  if (document === undefined) {
    return rejected('envelope_malformed', { field: 'payload', expected: 'base64 of JSON' });
  }
  const bad = violation(schema, document);
  if (bad) return rejected('invalid_field', bad);
  return accepted({ document: document as FromSchema<S>, payload, envelope });
}

/**
 * The key among `signers` (Ed25519 public keys of the role that is expected) that signed the
 * envelope, or undefined. `keyid` only decides which of these keys are tried.
 */
export function verifiedSigner(
  crypto: CryptoProvider,
  read: ReadEnvelope<unknown>,
  signers: readonly Uint8Array[],
): Uint8Array | undefined {
  const message = preAuthEncoding(read.envelope.payloadType, read.payload);
  for (const { keyid, sig } of read.envelope.signatures) {
    const signature = fromBase64(sig, 64);
    if (!signature) continue;
    for (const key of signers) {
      if (signingKeyId(crypto, key) !== keyid) continue;
      if (crypto.ed25519Verify(key, message, signature)) return key;
    }
  }
  return undefined;
}

/** Reads and verifies in one go, where the expected signers are known beforehand. */
export function openEnvelope<const S extends Schema>(
  crypto: CryptoProvider,
  value: unknown,
  payloadType: PayloadType,
  schema: S,
  signers: readonly Uint8Array[],
): Checked<ReadEnvelope<FromSchema<S>>> {
  const read = readEnvelope(value, payloadType, schema);
  if (!read.ok) return read;
  if (!verifiedSigner(crypto, read.value, signers)) return rejected('envelope_signature');
  return read;
}
