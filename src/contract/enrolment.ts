import type { CryptoProvider } from '../crypto/provider.ts';
import { equalBytes, fromBase64, toBase64 } from './encoding.ts';
import {
  type Envelope,
  envelopeSchema,
  openEnvelope,
  PAYLOAD_TYPES,
  preAuthEncoding,
  type ReadEnvelope,
  readEnvelope,
  signEnvelope,
  verifiedSigner,
} from './envelope.ts';
import {
  bytes32Field,
  counterField,
  endpointField,
  nodeIdField,
  nonceField,
  secondsField,
  tokenIdField,
  tunnelAddressField,
  tunnelPrefixField,
} from './fields.ts';
import { exactly, type FromSchema } from './from-schema.ts';
import { controllerFingerprint } from './ids.ts';
import { type JoinToken, joinProof } from './join-token.ts';
import { type KeyRecord, openKeyRecord } from './key-record.ts';
import { accepted, type Checked, rejected } from './problems.ts';
import { violation } from './schema.ts';

/** Body of `POST /v1/nodes`. */
export const enrolmentRequestSchema = exactly({
  /** Envelope of an `EnrolmentDocument`, signed by the new signing key. */
  request: envelopeSchema,
  /** Base64 of `joinProof` over that envelope's signed bytes. */
  proof: bytes32Field,
});

export type EnrolmentRequest = FromSchema<typeof enrolmentRequestSchema>;

export const enrolmentSchema = exactly({
  mesh_id: bytes32Field,
  audience: { type: 'string', const: 'controller' },
  node_id: nodeIdField,
  token_id: tokenIdField,
  nonce: nonceField,
  record: envelopeSchema,
  /** Where the node's UDP socket can be reached, null if only outwards. */
  endpoint: endpointField,
});

export type EnrolmentDocument = FromSchema<typeof enrolmentSchema>;

/** Payload of the answer's envelope, signed by the controller. */
export const enrolmentAnswerSchema = exactly({
  mesh_id: bytes32Field,
  audience: nodeIdField,
  nonce: nonceField,
  /** Base64, 32 bytes: SHA-256 of the request's signed bytes. */
  request_hash: bytes32Field,
  /** Ed25519 key that signs configs and events; its fingerprint is in the token. */
  controller_key: bytes32Field,
  tunnel_address: tunnelAddressField,
  tunnel_prefix: tunnelPrefixField,
  epoch: counterField,
  version: counterField,
  /** As in configs: the device must know how long keypairs of an old epoch are kept. */
  epoch_s: secondsField,
  grace_s: secondsField,
});

export type EnrolmentAnswer = FromSchema<typeof enrolmentAnswerSchema>;

/** SHA-256 of what the node signed: ties the answer to the request. */
function requestHash(crypto: CryptoProvider, request: Envelope): Uint8Array {
  return crypto.sha256(signedBytes(request));
}

function signedBytes(envelope: Envelope): Uint8Array {
  return preAuthEncoding(envelope.payloadType, fromBase64(envelope.payload)!);
}

/** The node's side: signs and proves. `record` is the envelope of the node's key record. */
export function createEnrolment(
  crypto: CryptoProvider,
  signingSeed: Uint8Array,
  token: JoinToken,
  fields: Pick<EnrolmentDocument, 'node_id' | 'nonce' | 'record' | 'endpoint'>,
): EnrolmentRequest {
  const document: EnrolmentDocument = {
    mesh_id: toBase64(token.fingerprint),
    audience: 'controller',
    token_id: token.id,
    ...fields,
  };
  const request = signEnvelope(crypto, signingSeed, PAYLOAD_TYPES.enrolment, document);
  return { request, proof: toBase64(joinProof(crypto, token.secret, signedBytes(request))) };
}

export interface OpenedEnrolment {
  readonly document: EnrolmentDocument;
  readonly record: KeyRecord;
  /** For the answer. */
  readonly requestHash: Uint8Array;
}

/**
 * The controller's side, up to what needs no storage: shapes, mesh, that record and request name
 * the same node and are signed by the same new key. The proof is checked by `proofIsValid`.
 */
export function openEnrolment(
  crypto: CryptoProvider,
  meshId: Uint8Array,
  body: unknown,
): Checked<OpenedEnrolment> {
  const bad = violation(enrolmentRequestSchema, body);
  if (bad) return rejected('invalid_field', bad);
  const { request } = body as EnrolmentRequest;
  const read = readEnvelope(request, PAYLOAD_TYPES.enrolment, enrolmentSchema);
  if (!read.ok) return read;
  const { document } = read.value;
  const thisMesh = 'the id of this mesh';
  if (document.mesh_id !== toBase64(meshId)) {
    return rejected('wrong_mesh', { field: 'mesh_id', expected: thisMesh });
  }
  const record = openKeyRecord(crypto, document.record);
  if (!record.ok) return record;
  if (!equalBytes(record.value.meshId, meshId)) {
    return rejected('wrong_mesh', { field: 'record.mesh_id', expected: thisMesh });
  }
  if (record.value.nodeId !== document.node_id) {
    const expected = 'the record of the node that enrols';
    return rejected('key_record_invalid', { field: 'record.node_id', expected });
  }
  if (!verifiedSigner(crypto, read.value as ReadEnvelope<unknown>, [record.value.signing])) {
    return rejected('envelope_signature', { expected: 'a signature by the new signing key' });
  }
  return accepted({ document, record: record.value, requestHash: requestHash(crypto, request) });
}

/** Constant time in the proof. `body` has passed `openEnrolment`. */
export function proofIsValid(crypto: CryptoProvider, secret: Uint8Array, body: unknown): boolean {
  const { request, proof } = body as EnrolmentRequest;
  const given = fromBase64(proof, 32);
  return given !== undefined && equalBytes(given, joinProof(crypto, secret, signedBytes(request)));
}

/**
 * The node's check of the answer: it must carry the controller key that the token's fingerprint
 * names, verify under it, and answer this very request.
 */
export function openEnrolmentAnswer(
  crypto: CryptoProvider,
  token: JoinToken,
  request: EnrolmentRequest,
  nodeId: string,
  nonce: string,
  answer: unknown,
): Checked<EnrolmentAnswer & { readonly controllerKey: Uint8Array }> {
  const read = readEnvelope(answer, PAYLOAD_TYPES.enrolmentAnswer, enrolmentAnswerSchema);
  if (!read.ok) return read;
  const { document } = read.value;
  const controllerKey = fromBase64(document.controller_key, 32)!;
  if (!equalBytes(controllerFingerprint(crypto, controllerKey), token.fingerprint)) {
    const expected = 'the key that the join token names';
    return rejected('envelope_signature', { field: 'controller_key', expected });
  }
  const verified = openEnvelope(
    crypto,
    answer,
    PAYLOAD_TYPES.enrolmentAnswer,
    enrolmentAnswerSchema,
    [controllerKey],
  );
  if (!verified.ok) return verified;
  if (document.mesh_id !== toBase64(token.fingerprint)) {
    return rejected('wrong_mesh', { field: 'mesh_id' });
  }
  if (document.audience !== nodeId) return rejected('wrong_audience', { field: 'audience' });
  const hash = fromBase64(document.request_hash, 32)!;
  if (document.nonce !== nonce || !equalBytes(hash, requestHash(crypto, request.request))) {
    const expected = 'an answer to this request';
    return rejected('envelope_signature', { field: 'request_hash', expected });
  }
  return accepted({ ...document, controllerKey });
}
