import type { FastifyInstance } from 'fastify';
import {
  brakeReleasedSchema,
  type EventsQuery,
  eventsQuerySchema,
  rotateAnswerSchema,
  type TokenRequest,
  tokenAnswerSchema,
  tokenListSchema,
  tokenRequestSchema,
} from '../../contract/admin.ts';
import { TOKEN_ID_PATTERN } from '../../contract/join-token.ts';
import {
  type PolicyChange,
  policyAnswerSchema,
  policyChangeSchema,
  policyOutlookSchema,
} from '../../contract/policy.ts';
import type { Caller } from '../operations/caller.ts';
import { setPolicy, showPolicy } from '../operations/policy.ts';
import { followEvents, readEvents } from '../operations/read-events.ts';
import { releaseBrake } from '../operations/release-brake.ts';
import { removeNode } from '../operations/remove-node.ts';
import { resetSequences } from '../operations/reset-sequences.ts';
import { rotate } from '../operations/rotate.ts';
import { issueToken, listTokens, withdrawToken } from '../operations/tokens.ts';
import { orRefuse } from '../problem-error.ts';
import type { Services } from '../services.ts';
import { lineStream } from './line-stream.ts';
import { LINES_MEDIA_TYPE } from './media-types.ts';
import { type NodeParams, nodeParams } from './node-params.ts';

const tokenParams = {
  type: 'object',
  required: ['id'],
  properties: { id: { type: 'string', pattern: TOKEN_ID_PATTERN, description: 'a token id' } },
} as const;

/** Served over the 0600 socket only: whoever can open it is the admin. */
export const ADMIN: Caller = { kind: 'admin' };

export function adminRoutes(app: FastifyInstance, services: Services): void {
  app.post('/v1/rotate', {
    schema: { summary: 'Start a new epoch at once', response: { 200: rotateAnswerSchema } },
    handler: async () => orRefuse(await rotate(services, ADMIN)),
  });

  app.post('/v1/brake/release', {
    schema: {
      summary: 'Start a new epoch at once, in which the brake holds nobody',
      response: { 200: brakeReleasedSchema },
    },
    handler: async () => orRefuse(await releaseBrake(services, ADMIN)),
  });

  app.get('/v1/policy', {
    schema: { summary: 'The policy in force', response: { 200: policyAnswerSchema } },
    handler: async () => orRefuse(showPolicy(services, ADMIN)),
  });

  app.put<{ Body: PolicyChange }>('/v1/policy', {
    schema: {
      summary: 'Set another policy, in force from the next epoch on',
      body: policyChangeSchema,
      response: { 200: policyOutlookSchema },
    },
    handler: async ({ body }) => orRefuse(await setPolicy(services, ADMIN, body)),
  });

  app.post<{ Body: TokenRequest }>('/v1/tokens', {
    schema: {
      summary: 'Create a join token',
      body: tokenRequestSchema,
      response: { 201: tokenAnswerSchema },
    },
    handler: async ({ body }, reply) =>
      reply.code(201).send(orRefuse(await issueToken(services, ADMIN, body))),
  });

  app.get('/v1/tokens', {
    schema: { summary: 'Tokens that are not used yet', response: { 200: tokenListSchema } },
    handler: async () => orRefuse(await listTokens(services, ADMIN)),
  });

  app.delete<{ Params: { id: string } }>('/v1/tokens/:id', {
    schema: { summary: 'Withdraw a token', params: tokenParams },
    handler: async ({ params }, reply) => {
      orRefuse(await withdrawToken(services, ADMIN, params.id));
      return reply.code(204).send();
    },
  });

  app.delete<NodeParams>('/v1/nodes/:node_id', {
    schema: {
      summary: 'Remove a node: a new epoch at once',
      params: nodeParams,
      response: { 200: rotateAnswerSchema },
    },
    handler: async ({ params }) => orRefuse(await removeNode(services, ADMIN, params.node_id)),
  });

  app.post<NodeParams>('/v1/nodes/:node_id/reset-sequence', {
    schema: { summary: "Let a node's sequences start anew", params: nodeParams },
    handler: async ({ params }, reply) => {
      orRefuse(await resetSequences(services, ADMIN, params.node_id));
      return reply.code(204).send();
    },
  });

  app.get<{ Querystring: EventsQuery }>('/v1/events', {
    schema: {
      summary: 'What has happened since the start, and with `follow` what happens',
      querystring: eventsQuerySchema,
    },
    handler: (request, reply) => {
      const { follow, routine } = request.query;
      if (follow === undefined) {
        return reply.type(LINES_MEDIA_TYPE).send(orRefuse(readEvents(services, ADMIN)));
      }
      const open = () => {
        reply.hijack();
        return lineStream(reply.raw);
      };
      const call = { routine: routine !== undefined, open };
      const gone = orRefuse(followEvents(services, ADMIN, call));
      reply.raw.on('close', gone);
      return reply;
    },
  });
}
