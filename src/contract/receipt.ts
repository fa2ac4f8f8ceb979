import type { CryptoProvider } from '../crypto/provider.ts';
import { equalBytes, fromBase64, toBase64 } from './encoding.ts';
import {
  type Envelope,
  envelopeSchema,
  openEnvelope,
  PAYLOAD_TYPES,
  preAuthEncoding,
  signEnvelope,
} from './envelope.ts';
import { bytes32Field, counterField, timeField } from './fields.ts';
import { exactly, type FromSchema } from './from-schema.ts';
import { controllerFingerprint } from './ids.ts';

/**
 * What the controller says to one signed request, over its own signature. Whatever a node or an
 * evaluator keeps for good, or dates its own words by, comes from here and never from the plain answer
 * around it, which anybody on the way could have written.
 */
export const receiptSchema = exactly({
  mesh_id: bytes32Field,
  /** Base64, 32 bytes: {@link envelopeHash} or {@link requestHash} of what is answered. */
  request: bytes32Field,
  /** `accepted`, or a problem code. */
  code: { type: 'string', minLength: 1, maxLength: 64 },
  /** The last accepted sequence where the code is about sequences, else null. */
  last: { ...counterField, type: ['integer', 'null'] },
  /** Controller's wall clock, ms since 1970. */
  server_time: timeField,
});

export type Receipt = FromSchema<typeof receiptSchema>;

/** A receipt with the key that signed it: whoever knows the mesh id can tell whether it is its key. */
export const signedReceiptSchema = exactly({
  receipt: envelopeSchema,
  controller_key: bytes32Field,
});

export type SignedReceipt = FromSchema<typeof signedReceiptSchema>;

const encoder = new TextEncoder();

/** SHA-256 of what an envelope's signature covers. */
export function envelopeHash(crypto: CryptoProvider, envelope: Envelope): Uint8Array {
  return crypto.sha256(preAuthEncoding(envelope.payloadType, fromBase64(envelope.payload)!));
}

/** SHA-256 of a signed request's signature: no two requests have the same. */
export function requestHash(crypto: CryptoProvider, signatureHeader: string): Uint8Array {
  return crypto.sha256(encoder.encode(signatureHeader));
}

export function signReceipt(
  crypto: CryptoProvider,
  signingSeed: Uint8Array,
  receipt: Receipt,
): SignedReceipt {
  return {
    controller_key: toBase64(crypto.ed25519Public(signingSeed)),
    receipt: signEnvelope(crypto, signingSeed, PAYLOAD_TYPES.receipt, receipt),
  };
}

/**
 * The receipt in an answer, if it is the mesh's own and answers `request`; undefined otherwise.
 * `answer` is whatever came: a problem document, or the body of a success.
 */
export function openReceipt(
  crypto: CryptoProvider,
  meshId: Uint8Array,
  request: Uint8Array,
  answer: unknown,
): Receipt | undefined {
  if (typeof answer !== 'object' || answer === null) return undefined;
  const { controller_key: keyText, receipt: envelope } = answer as Partial<SignedReceipt>;
  const key = typeof keyText === 'string' ? fromBase64(keyText, 32) : undefined;
  if (key === undefined || !equalBytes(controllerFingerprint(crypto, key), meshId))
    return undefined;
  const opened = openEnvelope(crypto, envelope, PAYLOAD_TYPES.receipt, receiptSchema, [key]);
  if (!opened.ok) return undefined;
  const { document } = opened.value;
  const isOurs = document.mesh_id === toBase64(meshId) && document.request === toBase64(request);
  return isOurs ? document : undefined;
}
