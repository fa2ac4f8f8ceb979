import type { FastifyInstance, FastifyRequest } from 'fastify';
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
import { NEEDED } from '../operations/needed-roles.ts';
import { setPolicy, showPolicy } from '../operations/policy.ts';
import { followEvents, readEvents } from '../operations/read-events.ts';
import { releaseBrake } from '../operations/release-brake.ts';
import { removeNode } from '../operations/remove-node.ts';
import { resetSequences } from '../operations/reset-sequences.ts';
import { rotate } from '../operations/rotate.ts';
import { issueToken, listTokens, withdrawToken } from '../operations/tokens.ts';
import { orRefuse } from '../problem-error.ts';
import type { Services } from '../services.ts';
import { roleFirst } from './first.ts';
import { lineStream } from './line-stream.ts';
import { LINES_MEDIA_TYPE } from './media-types.ts';
import { type NodeParams, nodeParams } from './node-params.ts';

const tokenParams = {
  type: 'object',
  required: ['id'],
  properties: { id: { type: 'string', pattern: TOKEN_ID_PATTERN, description: 'a token id' } },
} as const;

/** Changes, and what only those who administer may read. `callerOf` says who asks on this server. */
export function adminRoutes(
  app: FastifyInstance,
  services: Services,
  callerOf: (request: FastifyRequest) => Caller,
): void {
  const holding = roleFirst(services, callerOf);

  app.post('/v1/rotate', {
    ...holding(NEEDED.rotate),
    schema: { summary: 'Start a new epoch at once', response: { 200: rotateAnswerSchema } },
    handler: async (request) => orRefuse(await rotate(services, callerOf(request))),
  });

  app.post('/v1/brake/release', {
    ...holding(NEEDED.releaseBrake),
    schema: {
      summary: 'Start a new epoch at once, in which the brake holds nobody',
      response: { 200: brakeReleasedSchema },
    },
    handler: async (request) => orRefuse(await releaseBrake(services, callerOf(request))),
  });

  app.get('/v1/policy', {
    ...holding(NEEDED.showPolicy),
    schema: { summary: 'The policy in force', response: { 200: policyAnswerSchema } },
    handler: async (request) => orRefuse(await showPolicy(services, callerOf(request))),
  });

  app.put<{ Body: PolicyChange }>('/v1/policy', {
    ...holding(NEEDED.setPolicy),
    schema: {
      summary: 'Set another policy, in force from the next epoch on',
      body: policyChangeSchema,
      response: { 200: policyOutlookSchema },
    },
    handler: async (request) =>
      orRefuse(await setPolicy(services, callerOf(request), request.body)),
  });

  app.post<{ Body: TokenRequest }>('/v1/tokens', {
    ...holding(NEEDED.issueToken),
    schema: {
      summary: 'Create a join token',
      body: tokenRequestSchema,
      response: { 201: tokenAnswerSchema },
    },
    handler: async (request, reply) => {
      const issued = await issueToken(services, callerOf(request), request.body);
      return reply.code(201).send(orRefuse(issued));
    },
  });

  app.get('/v1/tokens', {
    ...holding(NEEDED.listTokens),
    schema: { summary: 'Tokens that are not used yet', response: { 200: tokenListSchema } },
    handler: async (request) => orRefuse(await listTokens(services, callerOf(request))),
  });

  app.delete<{ Params: { id: string } }>('/v1/tokens/:id', {
    ...holding(NEEDED.withdrawToken),
    schema: { summary: 'Withdraw a token', params: tokenParams },
    handler: async (request, reply) => {
      orRefuse(await withdrawToken(services, callerOf(request), request.params.id));
      return reply.code(204).send();
    },
  });

  app.delete<NodeParams>('/v1/nodes/:node_id', {
    ...holding(NEEDED.removeNode),
    schema: {
      summary: 'Remove a node: a new epoch at once',
      params: nodeParams,
      response: { 200: rotateAnswerSchema },
    },
    handler: async (request) =>
      orRefuse(await removeNode(services, callerOf(request), request.params.node_id)),
  });

  app.post<NodeParams>('/v1/nodes/:node_id/reset-sequence', {
    ...holding(NEEDED.resetSequences),
    schema: { summary: "Let a node's sequences start anew", params: nodeParams },
    handler: async (request, reply) => {
      orRefuse(await resetSequences(services, callerOf(request), request.params.node_id));
      return reply.code(204).send();
    },
  });

  app.get<{ Querystring: EventsQuery }>('/v1/events', {
    ...holding(NEEDED.readEvents),
    schema: {
      summary: 'What has happened since the start, and with `follow` what happens',
      querystring: eventsQuerySchema,
    },
    handler: async (request, reply) => {
      const { follow, routine } = request.query;
      const caller = callerOf(request);
      if (follow === undefined) {
        return reply.type(LINES_MEDIA_TYPE).send(orRefuse(await readEvents(services, caller)));
      }
      const open = () => {
        reply.hijack();
        return lineStream(reply.raw);
      };
      const call = { routine: routine !== undefined, open };
      const gone = orRefuse(await followEvents(services, caller, call));
      reply.raw.on('close', gone);
      return reply;
    },
  });
}
