import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { refuse } from './problem-error.ts';

/**
 * Keeps one address from taking all there is: it has at most half of the connections, and a connection
 * has one request under way. (Clients that pipeline could queue work that nobody waits for.)
 */
export function guardConnections(app: FastifyInstance, maxConnections: number): void {
  const server = app.server as Server;
  server.maxConnections = maxConnections;
  const byAddress = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress;
    if (address === undefined) return; // a Unix socket: whoever may open it
    const count = (byAddress.get(address) ?? 0) + 1;
    byAddress.set(address, count);
    socket.once('close', () => {
      const left = byAddress.get(address)! - 1;
      if (left === 0) byAddress.delete(address);
      else byAddress.set(address, left);
    });
    if (count > maxConnections / 2) socket.destroy();
  });
  const busy = new WeakSet<Socket>();
  app.addHook('onRequest', (request, reply, next) => {
    const { socket } = request.raw;
    if (busy.has(socket)) {
      reply.header('connection', 'close');
      const expected = 'the answer to the request before it on this connection, awaited';
      return refuse('malformed_request', { field: 'connection', expected });
    }
    busy.add(socket);
    reply.raw.once('close', () => busy.delete(socket));
    next();
  });
}
