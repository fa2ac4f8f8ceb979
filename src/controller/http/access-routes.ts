import type { FastifyInstance, FastifyRequest } from 'fastify';
import {
  type AccessRequest,
  accessAnswerSchema,
  accessListSchema,
  accessRequestSchema,
  accessSelfSchema,
} from '../../contract/access.ts';
import { TOKEN_ID_PATTERN } from '../../contract/join-token.ts';
import { issueAccess, listAccess, revokeAccess, whoIsIt } from '../operations/access.ts';
import type { Caller } from '../operations/caller.ts';
import { NEEDED } from '../operations/needed-roles.ts';
import { orRefuse } from '../problem-error.ts';
import type { Services } from '../services.ts';
import { roleFirst } from './first.ts';

const accessParams = {
  type: 'object',
  required: ['id'],
  properties: { id: { type: 'string', pattern: TOKEN_ID_PATTERN, description: 'a token id' } },
} as const;

/** Who may administer over the network. `callerOf` says who asks on this server. */
export function accessRoutes(
  app: FastifyInstance,
  services: Services,
  callerOf: (request: FastifyRequest) => Caller,
): void {
  const holding = roleFirst(services, callerOf);

  app.post<{ Body: AccessRequest }>('/v1/access', {
    ...holding(NEEDED.issueAccess),
    schema: {
      summary: 'Create an access token',
      body: accessRequestSchema,
      response: { 201: accessAnswerSchema },
    },
    handler: async (request, reply) => {
      const issued = await issueAccess(services, callerOf(request), request.body);
      return reply.code(201).send(orRefuse(issued));
    },
  });

  app.get('/v1/access', {
    ...holding(NEEDED.listAccess),
    schema: {
      summary: 'Access tokens that can still be used',
      response: { 200: accessListSchema },
    },
    handler: async (request) => orRefuse(await listAccess(services, callerOf(request))),
  });

  app.get('/v1/whoami', {
    ...holding(NEEDED.whoIsIt),
    schema: { summary: 'Who the caller is taken for', response: { 200: accessSelfSchema } },
    handler: async (request) => orRefuse(await whoIsIt(services, callerOf(request))),
  });

  app.delete<{ Params: { id: string } }>('/v1/access/:id', {
    ...holding(NEEDED.revokeAccess),
    schema: { summary: 'Revoke an access token', params: accessParams },
    handler: async (request, reply) => {
      orRefuse(await revokeAccess(services, callerOf(request), request.params.id));
      return reply.code(204).send();
    },
  });
}
