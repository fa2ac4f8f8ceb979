import { nodeIdField } from '../../contract/fields.ts';

/** Paths that name a node. */
export interface NodeParams {
  Params: { node_id: string };
}

export const nodeParams = {
  type: 'object',
  required: ['node_id'],
  properties: { node_id: nodeIdField },
} as const;
