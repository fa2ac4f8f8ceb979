import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  LogController,
} from 'fastify';
import { enrolmentRequestSchema } from '../contract/enrolment.ts';
import { envelopeSchema } from '../contract/envelope.ts';
import {
  PROBLEM_MEDIA_TYPE,
  type Problem,
  type ProblemCode,
  problem,
} from '../contract/problems.ts';
import { type Schema, violation } from '../contract/schema.ts';
import { guardConnections } from './connection-guard.ts';
import { describeCalls } from './openapi.ts';
import { ProblemError } from './problem-error.ts';
import { sayProtocolNumbers } from './protocol-numbers.ts';

/** Larger than any body of ours: an enrolment with its record and endpoint has about 3 KB. */
const BODY_LIMIT = 64 * 1024;
/** A request that is not complete by then is cut off, ms; looked at this often. */
const REQUEST_TIMEOUT = 10_000;
const REQUEST_CHECK = 2000;
/** Longer than nodes pause between two reports, so that they keep their connections, ms. */
const KEEP_ALIVE_TIMEOUT = 15_000;
/** Streams and requests together; more are turned away, so that memory and descriptors last. */
const MAX_CONNECTIONS = 4096;

/** What Fastify says of a request that never reached a route. */
const FRAMEWORK_PROBLEMS: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed_json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed_json',
  FST_ERR_CTP_INVALID_JSON_BODY: 'malformed_json',
  FST_ERR_BAD_URL: 'malformed_request',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found',
};
/** What Node's HTTP parser says. */
const PARSER_PROBLEMS: Readonly<Record<string, ProblemCode>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
  HPE_HEADER_OVERFLOW: 'headers_too_large',
};

export interface ServerOptions {
  readonly logger: FastifyBaseLogger;
  readonly problems: Map<string, number>;
  /** Controller's clock, ms. */
  readonly now: () => number;
  /** PEM. Without it the server speaks plain HTTP. */
  readonly tls?: { readonly key: string; readonly cert: string };
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
  const app = fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 128 },
    frameworkErrors: (error: FailedWith, request: FastifyRequest, reply: FastifyReply) =>
      void problems.answer(error, request, reply),
    clientErrorHandler: (error: FailedWith, socket: Socket) => problems.answerRaw(error, socket),
    ...(options.tls === undefined ? { http: server } : { https: { ...server, ...options.tls } }),
  } as Parameters<typeof fastify>[0]) as unknown as FastifyInstance;
  guardConnections(app, MAX_CONNECTIONS);
  app.removeContentTypeParser('text/plain');
  useContractSchemas(app);
  sayProtocolNumbers(app);
  problems.register(app);
  await describeCalls(app);
  return app;
}

/** The contract's schemas are checked by the contract's checker, so that both sides agree. */
function useContractSchemas(app: FastifyInstance): void {
  // Envelopes are read by the services, which name what is wrong inside them, too.
  const readByServices: readonly unknown[] = [envelopeSchema, enrolmentRequestSchema];
  app.setValidatorCompiler(({ schema, httpPart }) => (data: unknown) => {
    if (httpPart === 'body' && readByServices.includes(schema)) return { value: data };
    const found = violation(schema as Schema, data);
    return found ? { error: new ProblemError(problem('invalid_field', found)) } : { value: data };
  });
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
}

type FailedWith = Error & { readonly code?: string; readonly statusCode?: number };

/** Turns whatever goes wrong into a problem document, and counts it. */
class ProblemAnswers {
  private readonly options: ServerOptions;
  private readonly routes: { readonly pattern: RegExp; readonly method: string }[] = [];

  constructor(options: ServerOptions) {
    this.options = options;
  }

  register(app: FastifyInstance): void {
    app.server.on('checkExpectation', (request, response) => {
      request.headers.expect = undefined; // nothing is promised: the request is looked at as it is
      app.server.emit('request', request, response);
    });
    app.addHook('onRequest', (request, reply, next) => {
      if (request.headers.host === undefined) {
        const expected = 'the Host header';
        return this.send(reply, problem('malformed_request', { field: 'host', expected }));
      }
      // Before its body is read: whatever that is, there is nothing here for it.
      if (request.is404) return this.notFound(request, reply);
      next();
    });
    app.addHook('onRoute', ({ url, method }) => {
      const pattern = new RegExp(`^${url.replace(/:[a-z_]+/g, '[^/]+').replace('*', '.+')}$`);
      for (const one of [method].flat()) this.routes.push({ pattern, method: one });
    });
    app.setNotFoundHandler((request, reply) => this.notFound(request, reply));
    app.setErrorHandler((error: FailedWith, request, reply) => this.answer(error, request, reply));
  }

  private notFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const path = request.url.split('?', 1)[0]!;
    const found = this.routes.filter((one) => one.pattern.test(path));
    const allowed = [...new Set(found.map((one) => one.method))].join(', ');
    if (allowed === '') return this.send(reply, problem('not_found'));
    reply.header('allow', allowed);
    return this.send(reply, problem('method_not_allowed', { expected: allowed }));
  }

  answer(error: FailedWith, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    if (error instanceof ProblemError) return this.send(reply, error.problem);
    const known = FRAMEWORK_PROBLEMS[error.code ?? ''];
    if (known !== undefined) return this.send(reply, problem(known));
    if (error.statusCode === 400) return this.send(reply, problem('malformed_json'));
    request.log.error({ err: error, route: request.routeOptions.url }, 'a request failed');
    return this.send(reply, problem('internal_error'));
  }

  /** For what is no HTTP request, or not yet: there is only a socket to answer on. */
  answerRaw(error: FailedWith, socket: Socket): void {
    if (error.code !== 'ECONNRESET' && socket.writable) {
      const answer = this.completed(
        problem(PARSER_PROBLEMS[error.code ?? ''] ?? 'malformed_request'),
      );
      const body = JSON.stringify(answer);
      const head = `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}`;
      const type = `content-type: ${PROBLEM_MEDIA_TYPE}\r\ncontent-length: ${Buffer.byteLength(body)}`;
      socket.write(`${head}\r\n${type}\r\nconnection: close\r\n\r\n${body}`);
    }
    socket.destroy();
  }

  private send(reply: FastifyReply, answer: Problem): FastifyReply {
    const body = JSON.stringify(this.completed(answer));
    return reply.code(answer.status).type(PROBLEM_MEDIA_TYPE).send(body);
  }

  /** Every 401 tells the time: the caller's clock may be all that is wrong. */
  private completed(answer: Problem): Problem {
    const { problems, now } = this.options;
    problems.set(answer.code, (problems.get(answer.code) ?? 0) + 1);
    return answer.status === 401 ? { ...answer, server_time: now() } : answer;
  }
}
