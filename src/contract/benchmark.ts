import { type Envelope, envelopeSchema } from './envelope.ts';
import { bytes32Field, counterField, nodeIdField, suiteField, timeField } from './fields.ts';
import type { Schema } from './schema.ts';

/** The suite that a policy requires and a node reports if nobody says otherwise. */
export const DEFAULT_SUITE = 'alignment';

/**
 * One observation of a node, signed by the node or by an evaluator. Payload of
 * `POST /v1/benchmarks/{node_id}`.
 */
export interface BenchmarkDocument {
  readonly mesh_id: string;
  readonly audience: 'controller';
  readonly node_id: string;
  readonly suite: string;
  /** 0..1, higher is better. */
  readonly score: number;
  /** How many items or runs the score averages. */
  readonly samples: number;
  /** Wall clock of the signer, ms since 1970. */
  readonly observed_at: number;
  /** Grows per (key, node, suite); gaps are allowed up to a limit. */
  readonly sequence: number;
}

export const benchmarkSchema = {
  type: 'object',
  required: [
    'mesh_id',
    'audience',
    'node_id',
    'suite',
    'score',
    'samples',
    'observed_at',
    'sequence',
  ],
  additionalProperties: false,
  properties: {
    mesh_id: bytes32Field,
    audience: { type: 'string', const: 'controller' },
    node_id: nodeIdField,
    suite: suiteField,
    score: { type: 'number', minimum: 0, maximum: 1, description: 'a number from 0 to 1' },
    samples: {
      type: 'integer',
      minimum: 1,
      maximum: 1_000_000_000,
      description: 'an integer from 1 to 10^9',
    },
    observed_at: timeField,
    sequence: { ...counterField, minimum: 1, description: 'an integer from 1 to 2^53-1' },
  },
} as const satisfies Schema;

/** Answer to an accepted benchmark (202). */
export interface BenchmarkAnswer {
  readonly node_id: string;
  readonly suite: string;
  readonly sequence: number;
  /** Controller's wall clock at receipt, ms since 1970. */
  readonly received_at: number;
  /** Of protocol 1 on; a controller before that has none. */
  readonly receipt?: Envelope;
  readonly controller_key?: string;
}

export const benchmarkAnswerSchema = {
  type: 'object',
  required: ['node_id', 'suite', 'sequence', 'received_at'],
  additionalProperties: false,
  properties: {
    node_id: nodeIdField,
    suite: suiteField,
    sequence: counterField,
    received_at: timeField,
    receipt: envelopeSchema,
    controller_key: bytes32Field,
  },
} as const satisfies Schema;
