import type { FastifyInstance } from 'fastify';
import { envelopeSchema } from '../../contract/envelope.ts';
import { headerQuerySchema } from '../../contract/epoch/header.ts';
import { SIGNATURE_TAGS } from '../../contract/http-signature.ts';
import { readHeader } from '../operations/read-header.ts';
import { enrolledOnly } from '../operations/readers.ts';
import { orRefuse } from '../problem-error.ts';
import type { Services } from '../services.ts';
import { networkCaller } from './callers.ts';
import { first } from './first.ts';

/** The signed header of each epoch. */
export function headerRoutes(app: FastifyInstance, services: Services): void {
  app.get<{ Querystring: { epoch?: string } }>('/v1/header', {
    ...first((request) => enrolledOnly(services, networkCaller(request), SIGNATURE_TAGS.header)),
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
