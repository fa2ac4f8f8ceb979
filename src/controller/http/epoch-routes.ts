import type { FastifyInstance } from 'fastify';
import { envelopeSchema } from '../../contract/envelope.ts';
import { keysAnswerSchema, keysQuerySchema } from '../../contract/epoch/keys-answer.ts';
import { SIGNATURE_TAGS } from '../../contract/http-signature.ts';
import { readKeys } from '../operations/read-keys.ts';
import { readLease } from '../operations/read-lease.ts';
import { orRefuse, refuse } from '../problem-error.ts';
import type { Services } from '../services.ts';
import { networkRequest } from './callers.ts';
import { nodeFirst } from './first.ts';
import { type NodeParams, nodeParams } from './node-params.ts';

const pieceParams = {
  type: 'object',
  required: ['name'],
  properties: {
    name: {
      type: 'string',
      pattern: '^[A-Za-z0-9_-]{43}$',
      description: 'the name of a piece: 32 bytes in base64url',
    },
  },
} as const;

/** What nodes need of an epoch besides its header. */
export function epochRoutes(app: FastifyInstance, services: Services): void {
  const itself = nodeFirst(services);

  app.get<NodeParams>('/v1/lease/:node_id', {
    ...itself(SIGNATURE_TAGS.lease),
    schema: {
      summary: 'What the node that signs the request is at this moment',
      params: nodeParams,
      response: { 200: envelopeSchema },
    },
    handler: async (request, reply) => {
      reply.header('cache-control', 'no-store');
      const call = { nodeId: request.params.node_id, request: networkRequest(request) };
      return orRefuse(await readLease(services, call));
    },
  });

  app.get<NodeParams & { Querystring: { since?: string } }>('/v1/keys/:node_id', {
    ...itself(SIGNATURE_TAGS.keys),
    schema: {
      summary:
        'Seals, sealed base and changes of the membership for the member that signs the request',
      params: nodeParams,
      querystring: keysQuerySchema,
      response: { 200: keysAnswerSchema },
    },
    handler: async (request, reply) => {
      reply.header('cache-control', 'no-store');
      const { since } = request.query;
      const call = { nodeId: request.params.node_id, request: networkRequest(request) };
      const number = since === undefined ? undefined : Number(since);
      return orRefuse(await readKeys(services, { ...call, since: number }));
    },
  });

  // Nobody can ask for what they were not told the name of, and nobody can change what a name says.
  app.get<{ Params: { name: string } }>('/v1/pieces/:name', {
    schema: {
      summary: 'A piece of a membership, or a list of nodes, by its name',
      params: pieceParams,
      response: { 200: { type: 'string', format: 'binary', description: 'The bytes so named' } },
    },
    handler: async (request, reply) => {
      const { name } = request.params;
      const bytes = services.views.piece(name) ?? services.rosters.piece(name);
      if (bytes === undefined) return refuse('piece_unknown', { field: 'name' });
      reply.header('cache-control', 'public, max-age=86400, immutable');
      return reply.type('application/octet-stream').send(Buffer.from(bytes));
    },
  });
}
