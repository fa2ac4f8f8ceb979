import type { Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { enrolmentRequestSchema } from '../../contract/enrolment.ts';
import { envelopeSchema } from '../../contract/envelope.ts';
import { problem } from '../../contract/problems.ts';
import { type Schema, violation } from '../../contract/schema.ts';
import type { ServerCertificate } from '../own-certificate.ts';
import { ProblemError } from '../problem-error.ts';
import { guardConnections, isProxy } from './connection-guard.ts';
import { describeCalls } from './openapi.ts';
import { type FailedWith, ProblemAnswers, type ProblemAnswersOptions } from './problem-answers.ts';
import { sayProtocolNumbers } from './protocol-numbers.ts';

/** Larger than any body of ours: an enrolment with its record and endpoint has about 3 KB. */
const BODY_LIMIT = 64 * 1024;
/** A request that is not complete by then is cut off, ms; looked at this often. */
const REQUEST_TIMEOUT = 10_000;
const REQUEST_CHECK = 2000;
/** Longer than nodes pause between two reports, so that they keep their connections, ms. */
const KEEP_ALIVE_TIMEOUT = 15_000;
/** On an admin's socket. */
const MAX_CONNECTIONS = 4096;

export interface ServerOptions extends ProblemAnswersOptions {
  /** PEM. Without it the server speaks plain HTTP. */
  readonly tls?: ServerCertificate & TlsOptions;
  /** Most connections at once. */
  readonly maxConnections?: number;
  /** All connections come from this address, and X-Forwarded-For tells who called there. */
  readonly proxy?: string;
}

/** A Fastify instance that answers every failure with a problem document. */
export async function createServer(options: ServerOptions): Promise<FastifyInstance> {
  const problems = new ProblemAnswers(options);
  // Node would answer a missing Host by itself, and not with a problem document.
  const server = {
    connectionsCheckingInterval: REQUEST_CHECK,
    requireHostHeader: false,
    requestTimeout: REQUEST_TIMEOUT,
    headersTimeout: REQUEST_TIMEOUT,
  };
  const tls = { ...options.tls, handshakeTimeout: REQUEST_TIMEOUT };
  const app = fastify({
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 128 },
    frameworkErrors: (error: FailedWith, request: FastifyRequest, reply: FastifyReply) =>
      void problems.answer(error, request, reply),
    clientErrorHandler: (error: FailedWith, socket: Socket) => problems.answerRaw(error, socket),
    trustProxy: options.proxy === undefined ? false : isProxy(options.proxy),
    ...(options.tls === undefined ? { http: server } : { https: { ...server, ...tls } }),
  } as Parameters<typeof fastify>[0]) as unknown as FastifyInstance;
  guardConnections(app, options.maxConnections ?? MAX_CONNECTIONS, options.proxy);
  app.removeContentTypeParser('text/plain');
  useContractSchemas(app);
  sayProtocolNumbers(app);
  problems.register(app);
  await describeCalls(app);
  return app;
}

/** The contract's schemas are checked by the contract's checker, so that both sides agree. */
export function useContractSchemas(app: FastifyInstance): void {
  // Envelopes are read by the operations, which name what is wrong inside them, too.
  const readByOperations: readonly unknown[] = [envelopeSchema, enrolmentRequestSchema];
  app.setValidatorCompiler(({ schema, httpPart }) => (data: unknown) => {
    if (httpPart === 'body' && readByOperations.includes(schema)) return { value: data };
    const found = violation(schema as Schema, data);
    return found ? { error: new ProblemError(problem('invalid_field', found)) } : { value: data };
  });
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
}
