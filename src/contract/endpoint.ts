import { endpointField, nodeIdField } from './fields.ts';
import { exactly, type FromSchema } from './from-schema.ts';
import { PROTOCOL_PARAMETER, protocolParameterField } from './protocol.ts';

/**
 * Answer to `PUT /v1/nodes/{node_id}/endpoint?endpoint=...`, signed by that node (RFC 9421 covers the
 * query): where members reach it from the next epoch on. Without the parameter: nowhere.
 */
export const endpointAnswerSchema = exactly({ node_id: nodeIdField, endpoint: endpointField });

export type EndpointAnswer = FromSchema<typeof endpointAnswerSchema>;

export const endpointQuerySchema = exactly(
  {},
  { endpoint: { ...endpointField, type: 'string' }, [PROTOCOL_PARAMETER]: protocolParameterField },
);
