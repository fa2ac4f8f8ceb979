import { endpointField, nodeIdField } from './fields.ts';
import { PROTOCOL_PARAMETER, protocolParameterField } from './protocol.ts';
import type { Schema } from './schema.ts';

/**
 * Answer to `PUT /v1/nodes/{node_id}/endpoint?endpoint=...`, signed by that node (RFC 9421 covers the
 * query): where members reach it from the next epoch on. Without the parameter: nowhere.
 */
export interface EndpointAnswer {
  readonly node_id: string;
  readonly endpoint: string | null;
}

export const endpointAnswerSchema = {
  type: 'object',
  required: ['node_id', 'endpoint'],
  additionalProperties: false,
  properties: { node_id: nodeIdField, endpoint: endpointField },
} as const satisfies Schema;

export const endpointQuerySchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    endpoint: { ...endpointField, type: 'string' },
    [PROTOCOL_PARAMETER]: protocolParameterField,
  },
} as const satisfies Schema;
