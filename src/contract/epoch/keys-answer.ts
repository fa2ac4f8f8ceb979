import { MAX_PEERS } from '../config.ts';
import { envelopeSchema } from '../envelope.ts';
import {
  bytes32Field,
  candidatesField,
  counterField,
  endpointField,
  nodeIdField,
} from '../fields.ts';
import { atLeast, exactly, type FromSchema } from '../from-schema.ts';
import { CHUNK_SIZE } from './chunks.ts';
import { MAX_ENTRY_LENGTH } from './member-entry.ts';

/** Entries that are sent as a change; who is further behind fetches the membership in chunks. */
export const MAX_CHANGED_ENTRIES = 1000;
const base64Length = (bytes: number): number => 4 * Math.ceil(bytes / 3);

/** What leads from the membership of an earlier version to the present one. */
const deltaSchema = atLeast({
  since: counterField,
  removed: { type: 'array', maxItems: MAX_PEERS, items: nodeIdField },
  /** Members before and now, of whom nothing else is told than where they are reached. */
  moved: {
    type: 'array',
    maxItems: MAX_CHANGED_ENTRIES,
    items: exactly(
      { node_id: nodeIdField, endpoint: endpointField },
      { candidates: candidatesField },
    ),
  },
  /** Base64 of the entries of all others that are new or other ones, each with its length. */
  entries: {
    type: 'string',
    maxLength: base64Length(MAX_CHANGED_ENTRIES * (MAX_ENTRY_LENGTH + 2)),
  },
});

export type MembershipDelta = FromSchema<typeof deltaSchema>;

/**
 * What a member needs of an epoch besides its header: answer to `GET /v1/keys/{node_id}`, and data of
 * the event `keys` on its stream. Only the seals in it are signed; all the rest is checked against them
 * and against the header.
 */
export const keysAnswerSchema = atLeast({
  seals: envelopeSchema,
  /** Null: not from the version that was asked for. */
  delta: { ...deltaSchema, type: ['object', 'null'] },
  /** Base64 of the names of all chunks of the membership, in order; null beside a delta. */
  chunks: {
    type: ['array', 'null'],
    maxItems: Math.ceil(MAX_PEERS / CHUNK_SIZE),
    items: bytes32Field,
  },
  /** Base64 of the member's sealed base. */
  sealed: { type: 'string', maxLength: base64Length(32 * MAX_PEERS + 16) },
  /** Base64 of the hashes that lead from it to the root of the seals. */
  proof: { type: 'array', maxItems: 64, items: bytes32Field },
});

export type KeysAnswer = FromSchema<typeof keysAnswerSchema>;

export const KEYS_EVENT_NAME = 'keys';

/** `?since=`: the version of the membership that the node holds, as text. */
export const keysQuerySchema = {
  type: 'object',
  properties: {
    since: { type: 'string', pattern: '^(?:0|[1-9][0-9]{0,14})$', description: 'a version' },
  },
} as const;
