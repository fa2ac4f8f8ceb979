import { counterField, nodeIdField, timeField, tokenIdField } from './fields.ts';
import { exactly, type FromSchema } from './from-schema.ts';
import { PROTOCOL_PARAMETER, protocolParameterField } from './protocol.ts';
import type { Schema } from './schema.ts';

/**
 * Admin calls, served over the controller's 0600 Unix socket only, where being able to open the
 * socket is the authorisation. All bodies and answers are plain JSON:
 *
 *   POST   /v1/rotate                          -> RotateAnswer
 *   POST   /v1/brake/release                   -> BrakeReleased
 *   GET    /v1/policy                          -> PolicyAnswer (policy.ts)
 *   PUT    /v1/policy           PolicyChange   -> PolicyOutlook
 *   POST   /v1/tokens           TokenRequest   -> TokenAnswer (the only time the token is shown)
 *   GET    /v1/tokens                          -> TokenList
 *   DELETE /v1/tokens/{id}                     -> 204
 *   DELETE /v1/nodes/{node_id}                 -> RotateAnswer (removal is a new epoch)
 *   POST   /v1/nodes/{node_id}/reset-sequence  -> 204
 *   GET    /v1/events           EventsQuery    -> controller's events, one JSON object a line
 *   GET    /v1/epoch, /metrics, /healthz, /readyz as on the network
 */
export const rotateAnswerSchema = exactly({ epoch: counterField, version: counterField });

/** Of an operator's word that whom the brake holds have really failed. */
export const brakeReleasedSchema = exactly({
  ...rotateAnswerSchema.properties,
  /** Who is out with that epoch. */
  removed: { type: 'array', items: nodeIdField },
});

export type BrakeReleased = FromSchema<typeof brakeReleasedSchema>;

export type RotateAnswer = FromSchema<typeof rotateAnswerSchema>;

const nodeIdOrNull = {
  ...nodeIdField,
  type: ['string', 'null'],
  description: 'a node id, or null',
} as const satisfies Schema;

export const tokenRequestSchema = exactly({
  /** Only this node may use it; null for any name that is free. */
  node_id: nodeIdOrNull,
  ttl_s: {
    type: 'integer',
    minimum: 1,
    maximum: 2_592_000,
    description: 'seconds, an integer from 1 to 2592000 (30 days)',
  },
});

export type TokenRequest = FromSchema<typeof tokenRequestSchema>;

const tokenSchema = exactly({ id: tokenIdField, node_id: nodeIdOrNull, expires_at: timeField });

export const tokenAnswerSchema = exactly({
  /** `id.secret.fingerprint`. */
  token: { type: 'string' },
  ...tokenSchema.properties,
});

export type TokenAnswer = FromSchema<typeof tokenAnswerSchema>;

export const tokenListSchema = exactly({ tokens: { type: 'array', items: tokenSchema } });

export type TokenList = FromSchema<typeof tokenListSchema>;

const yes = { type: 'string', const: 'true', description: 'true, or nothing at all' } as const;

export const eventsQuerySchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    /** Goes on with what happens from now on. */
    follow: yes,
    /** Also each score and each refused request. */
    routine: yes,
    [PROTOCOL_PARAMETER]: protocolParameterField,
  },
} as const satisfies Schema;

export type EventsQuery = FromSchema<typeof eventsQuerySchema>;
