import type { CryptoProvider } from '../crypto/provider.ts';
import { equalBytes, fromBase64, toBase64 } from './encoding.ts';
import {
  type Envelope,
  openEnvelope,
  PAYLOAD_TYPES,
  preAuthEncoding,
  signEnvelope,
} from './envelope.ts';
import { bytes32Field, counterField, timeField } from './fields.ts';
import { controllerFingerprint } from './ids.ts';
import type { Schema } from './schema.ts';

/**
 * What the controller says to one signed request, over its own signature. Whatever a node or an
 * evaluator keeps for good, or dates its own words by, comes from here and never from the plain answer
 * around it, which anybody on the way could have written.
 */
export interface Receipt {
  readonly mesh_id: string;
  /** Base64, 32 bytes: {@link envelopeHash} or {@link requestHash} of what is answered. */
  readonly request: string;
  /** `accepted`, or a problem code. */
  readonly code: string;
  /** The last accepted sequence where the code is about sequences, else null. */
  readonly last: number | null;
  /** Controller's wall clock, ms since 1970. */
  readonly server_time: number;
}

/** A receipt with the key that signed it: whoever knows the mesh id can tell whether it is its key. */
export interface SignedReceipt {
  readonly controller_key: string;
  readonly receipt: Envelope;
}

const receiptSchema = {
  type: 'object',
  required: ['mesh_id', 'request', 'code', 'last', 'server_time'],
  properties: {
    mesh_id: bytes32Field,
    request: bytes32Field,
    code: { type: 'string', minLength: 1, maxLength: 64 },
    last: { ...counterField, type: ['integer', 'null'] },
    server_time: timeField,
  },
} as const satisfies Schema;

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
  const opened = openEnvelope<Receipt>(crypto, envelope, PAYLOAD_TYPES.receipt, receiptSchema, [
    key,
  ]);
  if (!opened.ok) return undefined;
  const { document } = opened.value;
  const isOurs = document.mesh_id === toBase64(meshId) && document.request === toBase64(request);
  return isOurs ? document : undefined;
}
