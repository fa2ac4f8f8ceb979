import { bytes32Field } from '../fields.ts';
import { exactly, type FromSchema } from '../from-schema.ts';
import type { Schema } from '../schema.ts';

/** `GET /log/consistency`: the hashes which show that a log begins with all of a smaller one (RFC 6962). */
export const consistencySchema = exactly({
  proof: { type: 'array', maxItems: 128, items: bytes32Field },
});

export type Consistency = FromSchema<typeof consistencySchema>;

const sizeField = {
  type: 'string',
  pattern: '^(?:0|[1-9][0-9]{0,14})$',
  description: 'a number of leaves',
} as const;

/** Sizes of the smaller log and of the larger one. */
export const consistencyQuerySchema = {
  type: 'object',
  required: ['old', 'size'],
  properties: { old: sizeField, size: sizeField },
} as const satisfies Schema;
