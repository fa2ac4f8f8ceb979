import type { FastifyInstance } from 'fastify';
import { envelopeSchema } from '../../contract/envelope.ts';
import { headerQuerySchema } from '../../contract/epoch/header.ts';
import { readHeader } from '../operations/read-header.ts';
import { orRefuse } from '../problem-error.ts';
import type { Services } from '../services.ts';
import { networkCaller } from './callers.ts';

/** The signed header of each epoch. */
export function headerRoutes(app: FastifyInstance, services: Services): void {
  app.get<{ Querystring: { epoch?: string } }>('/v1/header', {
    schema: {
      summary: 'The signed header of the present epoch, or of an earlier one that is still kept',
      querystring: headerQuerySchema,
      response: { 200: envelopeSchema },
    },
    handler: async (request, reply) => {
      reply.header('cache-control', 'no-store');
      const { epoch } = request.query;
      const number = epoch === undefined ? undefined : Number(epoch);
      return orRefuse(await readHeader(services, networkCaller(request), number));
    },
  });
}
