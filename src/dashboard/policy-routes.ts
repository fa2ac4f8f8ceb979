import type { FastifyInstance } from 'fastify';
import { type PolicyChange, policyChangeSchema } from '../contract/policy.ts';
import { orRefuse } from '../controller/problem-error.ts';
import type { DashboardSource } from './source.ts';
import type { Visitors } from './visitors.ts';

const PROPOSAL = {
  type: 'object',
  additionalProperties: false,
  required: ['document'],
  properties: { document: { type: 'object' } },
} as const;

/** The policy: looked at and tried by whoever may read, set by who has the role admin. */
export function policyRoutes(
  app: FastifyInstance,
  source: () => DashboardSource,
  visitors: Visitors,
): void {
  app.get('/api/policy', {
    schema: { summary: 'The policy in force' },
    handler: async () => source().policy(),
  });

  app.post<{ Body: { document: object } }>(
    '/api/policy/replay',
    {
      schema: { summary: 'Tries another policy on the scores that are remembered', body: PROPOSAL },
    },
    async ({ body }, reply) => {
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      return orRefuse(await source().replay(body.document, gone.signal));
    },
  );

  app.put<{ Body: PolicyChange }>(
    '/api/policy',
    {
      schema: {
        summary: 'Sets another policy, or tells what it would do',
        body: policyChangeSchema,
      },
    },
    async (request) => orRefuse(await source().setPolicy(visitors.mustHold(request), request.body)),
  );
}
