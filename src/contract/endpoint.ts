import {
  candidatesField,
  endpointField,
  MAX_CANDIDATES,
  nodeIdField,
  PORT_PATTERN,
} from './fields.ts';
import { exactly, type FromSchema } from './from-schema.ts';
import { PROTOCOL_PARAMETER, protocolParameterField } from './protocol.ts';

/**
 * Answer to `PUT /v1/nodes/{node_id}/endpoint`, signed by that node (RFC 9421 covers the query): where
 * members try to reach it from the next epoch on.
 *
 * `?endpoint=` names the one place. `?candidates=&seen_port=` says where the node may be: those of its own
 * addresses, and the one that the request comes from with that port; what can be nobody's endpoint is left
 * out. Without any of them: nowhere.
 */
export const endpointAnswerSchema = exactly(
  { node_id: nodeIdField, endpoint: endpointField },
  { candidates: candidatesField },
);

export type EndpointAnswer = FromSchema<typeof endpointAnswerSchema>;

/** One more than is kept: the address that the controller saw may be among them. */
const MAX_OFFERED = MAX_CANDIDATES + 1;

const candidateListField = {
  type: 'string',
  pattern: `^[0-9a-fA-F.:[\\]]+(?:,[0-9a-fA-F.:[\\]]+){0,${MAX_OFFERED - 1}}$`,
  description: `up to ${MAX_OFFERED} endpoints with commas between them`,
} as const;

export const endpointQuerySchema = exactly(
  {},
  {
    endpoint: { ...endpointField, type: 'string' },
    candidates: candidateListField,
    seen_port: {
      type: 'string',
      pattern: PORT_PATTERN,
      description: 'a UDP port, 1 to 65535',
    },
    [PROTOCOL_PARAMETER]: protocolParameterField,
  },
);

export type EndpointQuery = FromSchema<typeof endpointQuerySchema>;
