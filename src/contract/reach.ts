import { bytes32Field, endpointField, nodeIdField, TO_CONTROLLER, timeField } from './fields.ts';
import { exactly, type FromSchema } from './from-schema.ts';

/** Other nodes that one report speaks of, at most. */
export const MOST_REACHED = 32;

const wholeSeconds = {
  type: ['integer', 'null'],
  minimum: 0,
  maximum: 253_402_300_799,
  description: 'whole seconds, or null',
} as const;

/** What a node can tell of another one, by itself. */
export const reachedSchema = exactly({
  node_id: nodeIdField,
  /** What became of the last ICMP echo through the tunnel. */
  echo: {
    type: 'string',
    enum: ['answered', 'unanswered', 'not_asked'],
    description: 'answered, unanswered or not_asked',
  },
  /** When that was. */
  echo_age_s: wholeSeconds,
  /** Of an answered one. */
  rtt_ms: {
    type: ['number', 'null'],
    minimum: 0,
    maximum: 60_000,
    description: 'milliseconds from 0 to 60000, or null',
  },
  /** Since the last handshake of the two; null: there is none. */
  handshake_age_s: wholeSeconds,
  /** Where it was heard last; null: nowhere. */
  path: endpointField,
});

export type Reached = FromSchema<typeof reachedSchema>;

/**
 * What a node has of others, for people to see: nothing is decided by it. Signed by the node itself; payload of
 * `PUT /v1/nodes/{node_id}/reach`.
 */
export const reachSchema = exactly({
  mesh_id: bytes32Field,
  audience: { type: 'string', const: TO_CONTROLLER },
  node_id: nodeIdField,
  /** Controller's clock as far as the node knows it, ms since 1970: grows with every report. */
  reported_at: timeField,
  others: {
    type: 'array',
    maxItems: MOST_REACHED,
    items: reachedSchema,
    description: `up to ${MOST_REACHED} other nodes`,
  },
});

export type ReachDocument = FromSchema<typeof reachSchema>;

/** Answer to a report that was taken (200). */
export const reachAnswerSchema = exactly({
  node_id: nodeIdField,
  /** Controller's wall clock at receipt, ms since 1970. */
  received_at: timeField,
});

export type ReachAnswer = FromSchema<typeof reachAnswerSchema>;
