import { MAX_PEERS } from './config.ts';
import { bytes32Field, counterField, nodeIdField, timeField } from './fields.ts';
import { exactly, type FromSchema } from './from-schema.ts';

/**
 * Pushed over `GET /v1/stream/{node_id}` whenever (epoch, version) grows, the same bytes to all
 * nodes: `event: epoch`, `id: <epoch>.<version>`, `data: <envelope as one line of JSON>`.
 */
export const streamEventSchema = exactly({
  mesh_id: bytes32Field,
  audience: { type: 'string', const: 'members' },
  epoch: counterField,
  version: counterField,
  issued_at: timeField,
  /** Nodes that were members before this and are not any more, ids in byte order. */
  removed: { type: 'array', maxItems: MAX_PEERS, items: nodeIdField },
});

export type StreamEvent = FromSchema<typeof streamEventSchema>;

export const STREAM_EVENT_NAME = 'epoch';

/** The stream carries a comment line at least this often (seconds) while nothing happens. */
export const STREAM_HEARTBEAT_S = 2;
