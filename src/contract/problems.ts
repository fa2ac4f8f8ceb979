import type { FromSchema } from './from-schema.ts';
import type { Schema } from './schema.ts';

/**
 * Problem documents (RFC 9457). The codes are stable: programs may compare them, and nothing else
 * in a problem is meant for programs. This is the only place that knows them.
 */
export const PROBLEMS = {
  // The request itself.
  malformed_request: { status: 400, title: 'This is not an HTTP request that can be understood' },
  request_timeout: { status: 408, title: 'The request did not arrive in time' },
  malformed_json: { status: 400, title: 'The body is not JSON' },
  invalid_field: { status: 422, title: 'A field has a value that is not accepted' },
  body_too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'The body is not application/json' },
  not_found: { status: 404, title: 'There is nothing at this path' },
  method_not_allowed: { status: 405, title: 'This path does not know the method' },
  protocol_unsupported: { status: 400, title: 'The protocol numbers are too far apart' },
  too_many_requests: { status: 429, title: 'Too many requests' },
  misdirected: { status: 421, title: 'This is not to be asked by that name' },
  foreign_page: { status: 403, title: 'Only the page that is served here may ask for this' },
  headers_too_large: { status: 431, title: 'The headers are too large' },

  // Signed requests (RFC 9421).
  signature_missing: { status: 401, title: 'The request is not signed' },
  signature_malformed: { status: 401, title: 'The request signature cannot be read' },
  signature_invalid: { status: 401, title: 'The request signature does not verify' },
  signature_expired: { status: 401, title: 'The request was signed too long ago or in the future' },
  nonce_reused: { status: 401, title: 'The nonce was used before' },
  wrong_node: { status: 403, title: 'The signer may not do this for that node' },
  not_authorized: { status: 403, title: 'This caller may not do this' },
  node_removed: { status: 403, title: 'This node was removed from the mesh' },
  unknown_node: { status: 404, title: 'No such node' },
  piece_unknown: { status: 404, title: 'No piece of this name is kept' },
  keys_elsewhere: { status: 409, title: 'The keys of this epoch are to be had in another way' },
  header_unknown: { status: 404, title: 'No header of this epoch is kept' },

  // Access over the network.
  access_token_invalid: { status: 401, title: 'The access token is not valid' },
  tls_required: { status: 403, title: 'Access tokens are taken over TLS only' },
  name_in_use: { status: 409, title: 'The name is in use' },

  // Envelopes.
  envelope_malformed: { status: 422, title: 'The envelope is malformed' },
  envelope_type: { status: 422, title: 'The envelope carries another kind of message' },
  envelope_signature: { status: 401, title: 'No signature of an expected signer verifies' },
  wrong_mesh: { status: 422, title: 'The message is for another mesh' },
  wrong_audience: { status: 422, title: 'The message is for another audience' },

  // Benchmarks.
  unknown_suite: { status: 422, title: 'The policy does not know this suite' },
  signer_not_accepted: { status: 403, title: 'The policy does not accept this signer' },
  sequence_replayed: { status: 409, title: 'The sequence number is not above the last one' },
  sequence_too_far: { status: 409, title: 'The sequence number is too far ahead of the last one' },
  observed_in_future: { status: 422, title: 'The observation lies in the future' },
  observed_decreasing: { status: 409, title: 'The observation is older than the last one' },

  // Policies.
  policy_over_brake: { status: 409, title: 'The policy would cut too many members at once' },
  brake_holds_nobody: { status: 409, title: 'The brake holds nobody' },

  // Enrolment.
  token_unknown: { status: 401, title: 'No such join token' },
  token_invalid: { status: 401, title: 'The proof of the join token is wrong' },
  token_expired: { status: 401, title: 'The join token has expired' },
  token_used: { status: 409, title: 'The join token was used before' },
  token_wrong_node: { status: 403, title: 'The join token is for another node' },
  key_record_invalid: { status: 422, title: 'The key record is not valid' },
  key_in_use: { status: 409, title: 'A key is in use in this mesh already' },
  node_exists: { status: 409, title: 'A node of this name is enrolled already' },
  node_id_reserved: { status: 409, title: 'The name was used until recently' },
  endpoint_refused: { status: 422, title: 'Members must not be sent to this endpoint' },
  addresses_exhausted: { status: 503, title: 'No tunnel address is free' },

  // The controller.
  epoch_conflict: { status: 409, title: 'Another rotation was committed at the same time' },
  not_ready: { status: 503, title: 'The controller is not ready' },
  overloaded: { status: 503, title: 'The controller is overloaded' },
  internal_error: { status: 500, title: 'The controller failed' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemCode = keyof typeof PROBLEMS;

/** A problem document as it is sent (`application/problem+json`). */
export const problemSchema = {
  type: 'object',
  required: ['type', 'title', 'status', 'code'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string', enum: Object.keys(PROBLEMS) as readonly ProblemCode[] },
    /** A sentence for people: what was wrong and what is expected. Never contains a secret. */
    detail: { type: 'string' },
    /** JSON path of the field, e.g. `score` or `peers[3].endpoint`. */
    field: { type: 'string' },
    expected: { type: 'string' },
    /** Server's wall clock, ms since 1970: with every 401 and with `observed_in_future`. */
    server_time: { type: 'integer' },
    /** The last accepted sequence: with `sequence_replayed` and `sequence_too_far`. */
    last: { type: 'integer' },
    /** See receipt.ts: what a program may rely on, where the request itself was signed. */
    receipt: { type: 'object' },
    controller_key: { type: 'string' },
  },
} as const satisfies Schema;

export type Problem = FromSchema<typeof problemSchema>;

/** What says more than the code. */
export type ProblemDetails = Omit<Problem, (typeof problemSchema.required)[number]>;

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

export function problem(code: ProblemCode, details: ProblemDetails = {}): Problem {
  const { status, title } = PROBLEMS[code];
  return { type: `urn:aligned-meshnet:problem:${code}`, title, status, code, ...details };
}

/** Either a value or the problem to answer with. Rejected input is a value, not an exception. */
export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: Problem };

export function accepted<T>(value: T): Checked<T> {
  return { ok: true, value };
}

export function rejected<T = never>(code: ProblemCode, details?: ProblemDetails): Checked<T> {
  return { ok: false, problem: problem(code, details) };
}
