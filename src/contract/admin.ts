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

/** Names with one `*` or more, each for any part of a name. */
export const NAMES_PATTERN = '^[a-z0-9*-]{1,63}$';

/** What a join token is good for, beside one node. */
const scope = {
  /** Only nodes of such names may use it: see `matchesNames`. Null: any. */
  names: {
    type: ['string', 'null'],
    pattern: NAMES_PATTERN,
    description: 'names such as web-*, or null',
  },
  /** Only nodes of this group of the policy may use it. */
  group: { type: ['string', 'null'], minLength: 1, maxLength: 64 },
  /** How many nodes may use it; null: as many as come until it expires. */
  uses: {
    type: ['integer', 'null'],
    minimum: 1,
    maximum: 100_000,
    description: 'an integer from 1 to 100000, or null',
  },
  /** Nodes that it enrols are removed when nothing was heard of them for so long; null: they stay. */
  silence_s: {
    type: ['integer', 'null'],
    minimum: 10,
    maximum: 31_536_000,
    description: 'seconds, an integer from 10 to 31536000 (a year), or null',
  },
} as const satisfies Readonly<Record<string, Schema>>;

export const tokenRequestSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['node_id', 'ttl_s'],
  properties: {
    /** Only this node may use it; null for any name that is free. */
    node_id: nodeIdOrNull,
    ttl_s: {
      type: 'integer',
      minimum: 1,
      maximum: 31_536_000,
      description: 'seconds, an integer from 1 to 31536000 (a year)',
    },
    /** Without them: any name, one use, and nodes that stay. */
    ...scope,
  },
} as const satisfies Schema;

export type TokenRequest = FromSchema<typeof tokenRequestSchema>;

const tokenSchema = exactly({
  id: tokenIdField,
  node_id: nodeIdOrNull,
  expires_at: timeField,
  ...scope,
});

export const tokenAnswerSchema = exactly({
  /** `id.secret.fingerprint`. */
  token: { type: 'string' },
  ...tokenSchema.properties,
});

export type TokenAnswer = FromSchema<typeof tokenAnswerSchema>;

export const tokenListSchema = exactly({ tokens: { type: 'array', items: tokenSchema } });

export type TokenList = FromSchema<typeof tokenListSchema>;

/** Whether a name is one of those that `names` stands for. Takes as long as both are, whatever they are. */
export function matchesNames(names: string, nodeId: string): boolean {
  const [first = '', ...parts] = names.split('*');
  const last = parts.pop();
  if (last === undefined) return names === nodeId;
  if (!nodeId.startsWith(first)) return false;
  let at = first.length;
  for (const part of parts) {
    const found = nodeId.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return nodeId.length >= at + last.length && nodeId.endsWith(last);
}

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
