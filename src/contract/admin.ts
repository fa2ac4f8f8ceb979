import { counterField, nodeIdField, timeField } from './fields.ts';
import { TOKEN_ID_PATTERN } from './join-token.ts';
import type { Schema } from './schema.ts';

/**
 * Admin calls, served over the controller's 0600 Unix socket only, where being able to open the
 * socket is the authorisation. All bodies and answers are plain JSON:
 *
 *   POST   /v1/rotate                          -> RotateAnswer
 *   POST   /v1/tokens           TokenRequest   -> TokenAnswer (the only time the token is shown)
 *   GET    /v1/tokens                          -> TokenList
 *   DELETE /v1/tokens/{id}                     -> 204
 *   DELETE /v1/nodes/{node_id}                 -> RotateAnswer (removal is a new epoch)
 *   POST   /v1/nodes/{node_id}/reset-sequence  -> 204
 *   GET    /v1/epoch, /metrics, /healthz, /readyz as on the network
 */
export interface RotateAnswer {
  readonly epoch: number;
  readonly version: number;
}

export interface TokenRequest {
  /** Only this node may use it; null for any name that is free. */
  readonly node_id: string | null;
  readonly ttl_s: number;
}

export interface TokenAnswer {
  /** `id.secret.fingerprint`. */
  readonly token: string;
  readonly id: string;
  readonly node_id: string | null;
  readonly expires_at: number;
}

export interface TokenList {
  readonly tokens: readonly Omit<TokenAnswer, 'token'>[];
}

export const tokenRequestSchema = {
  type: 'object',
  required: ['node_id', 'ttl_s'],
  additionalProperties: false,
  properties: {
    node_id: { ...nodeIdField, type: ['string', 'null'], description: 'a node id, or null' },
    ttl_s: {
      type: 'integer',
      minimum: 1,
      maximum: 2_592_000,
      description: 'seconds, an integer from 1 to 2592000 (30 days)',
    },
  },
} as const satisfies Schema;

export const rotateAnswerSchema = {
  type: 'object',
  required: ['epoch', 'version'],
  additionalProperties: false,
  properties: { epoch: counterField, version: counterField },
} as const satisfies Schema;

const tokenFields = {
  id: { type: 'string', pattern: TOKEN_ID_PATTERN, description: 'a token id' },
  node_id: { ...nodeIdField, type: ['string', 'null'], description: 'a node id, or null' },
  expires_at: timeField,
} as const satisfies Record<string, Schema>;

export const tokenAnswerSchema = {
  type: 'object',
  required: ['token', 'id', 'node_id', 'expires_at'],
  additionalProperties: false,
  properties: { token: { type: 'string' }, ...tokenFields },
} as const satisfies Schema;

export const tokenListSchema = {
  type: 'object',
  required: ['tokens'],
  additionalProperties: false,
  properties: {
    tokens: {
      type: 'array',
      items: {
        type: 'object',
        required: ['id', 'node_id', 'expires_at'],
        additionalProperties: false,
        properties: tokenFields,
      },
    },
  },
} as const satisfies Schema;
