import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import {
  PROBLEM_MEDIA_TYPE,
  type Problem,
  type ProblemCode,
  problem,
} from '../../contract/problems.ts';
import { type EmitControllerEvent, thrown } from '../events.ts';
import { ProblemError } from '../problem-error.ts';

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

export interface ProblemAnswersOptions {
  readonly emit: EmitControllerEvent;
  /** Controller's clock, ms. */
  readonly now: () => number;
}

export type FailedWith = Error & { readonly code?: string; readonly statusCode?: number };

/** Turns whatever goes wrong into a problem document, and says so. */
export class ProblemAnswers {
  private readonly options: ProblemAnswersOptions;
  private readonly routes: { readonly pattern: RegExp; readonly method: string }[] = [];

  constructor(options: ProblemAnswersOptions) {
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
    const route = `${request.method} ${request.routeOptions.url ?? ''}`;
    this.options.emit({ event: 'request_failed', route, ...thrown(error) });
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
    const { emit, now } = this.options;
    emit({ event: 'refused', code: answer.code, status: answer.status });
    return answer.status === 401 ? { ...answer, server_time: now() } : answer;
  }
}
