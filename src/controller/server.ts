import swagger from '@fastify/swagger';
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from 'fastify';
import { enrolmentRequestSchema } from '../contract/enrolment.ts';
import { envelopeSchema } from '../contract/envelope.ts';
import {
  PROBLEM_MEDIA_TYPE,
  type Problem,
  type ProblemCode,
  problem,
} from '../contract/problems.ts';
import { type Schema, violation } from '../contract/schema.ts';
import { ProblemError } from './problem-error.ts';

/** Larger than any body of ours: an enrolment with its record and endpoint has about 3 KB. */
const BODY_LIMIT = 64 * 1024;
/** A request that is not complete by then is cut off, ms. */
const REQUEST_TIMEOUT = 10_000;

/** What Fastify says of a request that never reached a route. */
const FRAMEWORK_PROBLEMS: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed_json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed_json',
  FST_ERR_CTP_INVALID_JSON_BODY: 'malformed_json',
  FST_ERR_BAD_URL: 'not_found',
};

export interface ServerOptions {
  readonly logger: FastifyBaseLogger;
  readonly problems: Map<string, number>;
  /** PEM. Without it the server speaks plain HTTP. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

/** A Fastify instance that answers every failure with a problem document. */
export async function createServer(options: ServerOptions): Promise<FastifyInstance> {
  const app = fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 128 },
    ...(options.tls === undefined ? {} : { https: options.tls }),
  } as Parameters<typeof fastify>[0]) as unknown as FastifyInstance;
  app.removeContentTypeParser('text/plain');
  useContractSchemas(app);
  answerProblems(app, options.problems);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Aligned Meshnet controller', version: '1' },
    },
  });
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

function answerProblems(app: FastifyInstance, counts: Map<string, number>): void {
  const send = (
    reply: { code(status: number): { type(type: string): { send(body: unknown): unknown } } },
    answer: Problem,
  ): void => {
    counts.set(answer.code, (counts.get(answer.code) ?? 0) + 1);
    reply.code(answer.status).type(PROBLEM_MEDIA_TYPE).send(JSON.stringify(answer));
  };
  const routes: { pattern: RegExp; method: string }[] = [];
  app.addHook('onRoute', ({ url, method }) => {
    const pattern = new RegExp(`^${url.replace(/:[a-z_]+/g, '[^/]+')}/?$`);
    for (const one of [method].flat()) routes.push({ pattern, method: one });
  });
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0]!;
    const allowed = routes.filter((one) => one.pattern.test(path)).map((one) => one.method);
    if (allowed.length > 0) reply.header('allow', [...new Set(allowed)].join(', '));
    send(reply, problem(allowed.length > 0 ? 'method_not_allowed' : 'not_found'));
  });
  app.setErrorHandler((error: Error & { code?: string; statusCode?: number }, request, reply) => {
    if (error instanceof ProblemError) return send(reply, error.problem);
    const known = FRAMEWORK_PROBLEMS[error.code ?? ''];
    if (known !== undefined) return send(reply, problem(known));
    if (error.statusCode === 400) return send(reply, problem('malformed_json'));
    request.log.error({ err: error, route: request.routeOptions.url }, 'a request failed');
    send(reply, problem('internal_error'));
  });
}
