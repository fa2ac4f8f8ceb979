import type { FastifyInstance } from 'fastify';
import {
  rotateAnswerSchema,
  type TokenRequest,
  tokenAnswerSchema,
  tokenListSchema,
  tokenRequestSchema,
} from '../../contract/admin.ts';
import { nodeIdField } from '../../contract/fields.ts';
import { TOKEN_ID_PATTERN } from '../../contract/join-token.ts';
import { refuse } from '../problem-error.ts';
import type { Services } from '../services.ts';

const nodeParams = {
  type: 'object',
  required: ['node_id'],
  properties: { node_id: nodeIdField },
} as const;
const tokenParams = {
  type: 'object',
  required: ['id'],
  properties: { id: { type: 'string', pattern: TOKEN_ID_PATTERN, description: 'a token id' } },
} as const;

/** Served over the 0600 socket only: whoever can open it is the admin. */
export function adminRoutes(app: FastifyInstance, services: Services): void {
  const { governor, enrolments, store, clock, emit } = services;

  app.post('/v1/rotate', {
    schema: { summary: 'Start a new epoch at once', response: { 200: rotateAnswerSchema } },
    handler: async () => {
      const { epoch, version } = await governor.rotate();
      emit({ event: 'rotated', epoch, version });
      return { epoch, version };
    },
  });

  app.post<{ Body: TokenRequest }>('/v1/tokens', {
    schema: {
      summary: 'Create a join token',
      body: tokenRequestSchema,
      response: { 201: tokenAnswerSchema },
    },
    handler: async (request, reply) => {
      const { node_id, ttl_s } = request.body;
      const answer = await enrolments.createToken(node_id, ttl_s);
      return reply.code(201).send(answer);
    },
  });

  app.get('/v1/tokens', {
    schema: { summary: 'Tokens that are not used yet', response: { 200: tokenListSchema } },
    handler: async () => {
      const tokens = await store.openTokens(clock.now());
      return {
        tokens: tokens.map(({ id, nodeId, expiresAt }) => ({
          id,
          node_id: nodeId,
          expires_at: expiresAt,
        })),
      };
    },
  });

  app.delete<{ Params: { id: string } }>('/v1/tokens/:id', {
    schema: { summary: 'Withdraw a token', params: tokenParams },
    handler: async (request, reply) => {
      const { id } = request.params;
      if (!(await store.deleteToken(id))) refuse('not_found');
      emit({ event: 'token_deleted', token: id });
      return reply.code(204).send();
    },
  });

  app.delete<{ Params: { node_id: string } }>('/v1/nodes/:node_id', {
    schema: {
      summary: 'Remove a node: a new epoch at once',
      params: nodeParams,
      response: { 200: rotateAnswerSchema },
    },
    handler: async (request) => {
      const { node_id } = request.params;
      const removed = await governor.remove(node_id);
      if (removed === undefined)
        return refuse('unknown_node', { field: 'node_id', expected: 'an enrolled node' });
      const { epoch, version } = removed;
      emit({ event: 'removed', node: node_id, epoch, version });
      return { epoch, version };
    },
  });

  app.post<{ Params: { node_id: string } }>('/v1/nodes/:node_id/reset-sequence', {
    schema: { summary: "Let a node's sequences start anew", params: nodeParams },
    handler: async (request, reply) => {
      const { node_id } = request.params;
      if (!(await store.resetSequences(node_id, clock.now())))
        refuse('unknown_node', { field: 'node_id', expected: 'an enrolled node' });
      emit({ event: 'sequences_reset', node: node_id });
      return reply.code(204).send();
    },
  });
}
