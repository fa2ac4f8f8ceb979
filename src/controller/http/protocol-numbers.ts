import type { FastifyInstance } from 'fastify';
import { splitTarget } from '../../contract/http-signature.ts';
import { PROTOCOL, PROTOCOL_HEADER, protocolAcceptable } from '../../contract/protocol.ts';
import { ProblemError } from '../problem-error.ts';

/** Every answer names the controller's protocol number; whose own is too far from it is told so at once. */
export function sayProtocolNumbers(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, next) => {
    reply.header(PROTOCOL_HEADER, PROTOCOL);
    const acceptable = protocolAcceptable(splitTarget(request.url).query);
    next(acceptable.ok ? undefined : new ProblemError(acceptable.problem));
  });
}
