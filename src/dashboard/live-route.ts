import type { FastifyInstance } from 'fastify';
import { refuse } from '../controller/problem-error.ts';
import { acceptsGzip } from './gzip-answers.ts';
import { GZIP_HEADER, type LiveFeed } from './live.ts';
import type { DashboardSource } from './source.ts';
import type { Visitors } from './visitors.ts';

/** Compressed for who understands it: it tells the asker nothing that is secret, so its length may tell, too. */
export function liveRoute(
  app: FastifyInstance,
  live: LiveFeed,
  source: () => DashboardSource,
  visitors: Visitors,
  onError: (error: unknown) => void,
): void {
  const schema = { summary: 'The mesh, and what changes in it, as server-sent events' };
  app.get('/api/live', { schema }, async (request, reply) => {
    source();
    const leave = live.takePlace(visitors.holder(request)?.tokenId);
    if (leave === undefined) refuse('overloaded', { detail: 'Too many pages are open.' });
    reply.raw.once('close', leave);
    reply.header('content-type', 'text/event-stream').header('cache-control', 'no-store');
    reply.header('vary', 'accept-encoding');
    const isGzip = acceptsGzip(request);
    if (isGzip) reply.header('content-encoding', 'gzip');
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, reply.getHeaders() as Record<string, string>);
    if (isGzip) raw.write(GZIP_HEADER);
    else raw.flushHeaders();
    try {
      const ended = await live.add({
        get backlog() {
          return raw.writableLength;
        },
        write: (event) => void raw.write(isGzip ? event.compressed : event.text),
        end: () => void raw.destroy(),
      });
      raw.once('close', ended);
      raw.once('error', ended);
      raw.once(
        'close',
        visitors.onLeave(request, () => void raw.destroy()),
      );
      if (raw.destroyed) ended();
    } catch (error) {
      onError(error);
      raw.destroy(); // the page asks anew
    }
  });
}
