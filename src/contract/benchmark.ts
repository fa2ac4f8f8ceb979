import { bytes32Field, counterField, nodeIdField, suiteField, timeField } from './fields.ts';
import { exactly, type FromSchema } from './from-schema.ts';
import { signedReceiptSchema } from './receipt.ts';

/** The suite that a policy requires and a node reports if nobody says otherwise. */
export const DEFAULT_SUITE = 'alignment';

/**
 * One observation of a node, signed by the node or by an evaluator. Payload of
 * `POST /v1/benchmarks/{node_id}`.
 */
export const benchmarkSchema = exactly({
  mesh_id: bytes32Field,
  audience: { type: 'string', const: 'controller' },
  node_id: nodeIdField,
  suite: suiteField,
  /** 0..1, higher is better. */
  score: { type: 'number', minimum: 0, maximum: 1, description: 'a number from 0 to 1' },
  /** How many items or runs the score averages. */
  samples: {
    type: 'integer',
    minimum: 1,
    maximum: 1_000_000_000,
    description: 'an integer from 1 to 10^9',
  },
  /** Wall clock of the signer, ms since 1970. */
  observed_at: timeField,
  /** Grows per (key, node, suite); gaps are allowed up to a limit. */
  sequence: { ...counterField, minimum: 1, description: 'an integer from 1 to 2^53-1' },
});

export type BenchmarkDocument = FromSchema<typeof benchmarkSchema>;

/** Answer to an accepted benchmark (202). */
export const benchmarkAnswerSchema = exactly(
  {
    node_id: nodeIdField,
    suite: suiteField,
    sequence: counterField,
    /** Controller's wall clock at receipt, ms since 1970. */
    received_at: timeField,
  },
  // Of protocol 2 on; a controller before that has none.
  signedReceiptSchema.properties,
);

export type BenchmarkAnswer = FromSchema<typeof benchmarkAnswerSchema>;
