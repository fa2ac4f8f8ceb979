import { bytes32Field, nodeIdField, sentenceField } from './fields.ts';
import { exactly, type FromSchema } from './from-schema.ts';

/**
 * Admin calls about the policy, over the socket:
 *
 *   GET  /v1/policy                -> PolicyAnswer
 *   PUT  /v1/policy  PolicyChange  -> PolicyOutlook: what it does, or with `dry_run` would do
 */

/** A policy document is checked by the controller, whose errors name the field. */
const documentField = { type: 'object', description: 'a policy document' } as const;

export const policyAnswerSchema = exactly({
  /** All of it, as a document of version 2. */
  policy: documentField,
  /** Each suite with its rule in a line. */
  rules: { type: 'array', items: sentenceField },
  evaluators: { type: 'array', items: bytes32Field },
});

export type PolicyAnswer = FromSchema<typeof policyAnswerSchema>;

export const policyChangeSchema = exactly({
  document: documentField,
  /** Nothing is changed. */
  dry_run: { type: 'boolean' },
  /** Also if it would cut more members at once than the brake believes. */
  confirmed: { type: 'boolean' },
});

export type PolicyChange = FromSchema<typeof policyChangeSchema>;

export const policyOutlookSchema = exactly({
  rules: { type: 'array', items: sentenceField },
  members: { type: 'integer', minimum: 0 },
  /** Members that it would cut and others that it would let in, as scores are now, without the brake. */
  cut: { type: 'array', items: nodeIdField },
  admitted: { type: 'array', items: nodeIdField },
  /** More would be cut than the brake believes: `confirmed` is needed. */
  over_brake: { type: 'boolean' },
  /** It is in force from the next epoch on. */
  set: { type: 'boolean' },
});

export type PolicyOutlook = FromSchema<typeof policyOutlookSchema>;
