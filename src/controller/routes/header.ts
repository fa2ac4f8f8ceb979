import type { FastifyInstance, FastifyRequest } from 'fastify';
import { envelopeSchema } from '../../contract/envelope.ts';
import { headerQuerySchema } from '../../contract/epoch/header.ts';
import { SIGNATURE_TAGS } from '../../contract/http-signature.ts';
import { refuse } from '../problem-error.ts';
import type { Services } from '../services.ts';
import { signedRequest } from './nodes.ts';
import { isFromHere } from './public.ts';

/** The signed header of each epoch: for every enrolled node, members and denied ones alike. */
export function headerRoutes(app: FastifyInstance, services: Services): void {
  const { governor, store, settings } = services;

  app.get('/v1/header', {
    schema: {
      summary: 'The signed header of the present epoch, or of an earlier one that is still kept',
      querystring: headerQuerySchema,
      response: { 200: envelopeSchema },
    },
    handler: async (request: FastifyRequest<{ Querystring: { epoch?: string } }>, reply) => {
      if (!settings.epochOnLoopback || !isFromHere(request)) {
        signedRequest(services, request, SIGNATURE_TAGS.header);
      }
      reply.header('cache-control', 'no-store');
      const { epoch } = request.query;
      if (epoch !== undefined) {
        return (await store.header(Number(epoch))) ?? refuse('header_unknown', { field: 'epoch' });
      }
      const detail = 'No epoch with a header has been committed yet.';
      return governor.current?.header?.envelope ?? refuse('not_ready', { detail });
    },
  });
}
