import type { FastifyInstance } from 'fastify';
import type { RequestCounters } from '../request-counters.ts';

/** Counts every request by what it was for and how it was answered; a stream when it has ended. */
export function countRequests(app: FastifyInstance, counters: RequestCounters): void {
  app.addHook('onSend', (_request, reply, payload, next) => {
    counters.durations.observe(reply.elapsedTime / 1000);
    next(null, payload);
  });
  app.addHook('onResponse', ({ method, routeOptions: { url } }, reply, next) => {
    // Methods and paths that there are none of are the caller's words: all of them are one route.
    counters.count(url === undefined ? 'none' : `${method} ${url}`, reply.raw.statusCode);
    next();
  });
}
