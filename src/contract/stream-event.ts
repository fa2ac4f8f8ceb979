import { MAX_PEERS } from './config.ts';
import { bytes32Field, counterField, nodeIdField, timeField } from './fields.ts';
import type { Schema } from './schema.ts';

/**
 * Pushed over `GET /v1/stream/{node_id}` whenever (epoch, version) grows, the same bytes to all
 * nodes: `event: epoch`, `id: <epoch>.<version>`, `data: <envelope as one line of JSON>`.
 */
export interface StreamEvent {
  readonly mesh_id: string;
  readonly audience: 'members';
  readonly epoch: number;
  readonly version: number;
  readonly issued_at: number;
  /** Nodes that were members before this and are not any more, ids in byte order. */
  readonly removed: readonly string[];
}

export const STREAM_EVENT_NAME = 'epoch';

/** The stream carries a comment line at least this often (seconds) while nothing happens. */
export const STREAM_HEARTBEAT_S = 2;

export const streamEventSchema = {
  type: 'object',
  required: ['mesh_id', 'audience', 'epoch', 'version', 'issued_at', 'removed'],
  additionalProperties: false,
  properties: {
    mesh_id: bytes32Field,
    audience: { type: 'string', const: 'members' },
    epoch: counterField,
    version: counterField,
    issued_at: timeField,
    removed: { type: 'array', maxItems: MAX_PEERS, items: nodeIdField },
  },
} as const satisfies Schema;
