import type { FastifyInstance, FastifyRequest } from 'fastify';
import { epochQuerySchema, epochSchema } from '../../contract/epoch.ts';
import { METRICS_MEDIA_TYPE } from '../../contract/prometheus.ts';
import type { Caller } from '../operations/caller.ts';
import { readEpoch, readKeySet, readMetrics, readReadiness } from '../operations/read-state.ts';
import { readersOnly } from '../operations/readers.ts';
import { orRefuse } from '../problem-error.ts';
import type { Services } from '../services.ts';
import { first } from './first.ts';

/** State that people, monitors and members read. `callerOf` says who asks on this server. */
export function stateRoutes(
  app: FastifyInstance,
  services: Services,
  callerOf: (request: FastifyRequest) => Caller,
): void {
  app.get<{ Querystring: { after?: string; limit?: string } }>('/v1/epoch', {
    ...first((request) => readersOnly(services, callerOf(request))),
    schema: {
      summary: 'Who is in, who is out, and why: all nodes, or some at a time',
      querystring: epochQuerySchema,
      response: { 200: epochSchema },
    },
    handler: async (request) => {
      const { limit, ...after } = request.query;
      const page = { ...after, ...(limit === undefined ? {} : { limit: Number(limit) }) };
      return orRefuse(await readEpoch(services, callerOf(request), page));
    },
  });

  app.get('/status.json', {
    schema: {
      summary: 'The same, as written to disk at every epoch',
      response: { 200: epochSchema },
    },
    handler: async (request) => orRefuse(await readEpoch(services, callerOf(request))),
  });

  app.get('/metrics', {
    schema: { summary: 'Prometheus metrics' },
    handler: async (request, reply) => {
      const text = orRefuse(await readMetrics(services, callerOf(request)));
      return reply.type(METRICS_MEDIA_TYPE).send(text);
    },
  });

  app.get('/.well-known/jwks.json', {
    schema: { summary: 'The key that verifies Security Event Tokens, a JWK Set' },
    handler: async () => readKeySet(services),
  });

  app.get('/healthz', {
    schema: { summary: 'The process is alive' },
    handler: async () => ({ status: 'ok' }),
  });

  app.get('/readyz', {
    schema: { summary: 'Epochs are being decided' },
    handler: async () => ({ status: 'ready', ...orRefuse(readReadiness(services)) }),
  });

  app.get('/openapi.json', { schema: { hide: true }, handler: async () => app.swagger() });
}
