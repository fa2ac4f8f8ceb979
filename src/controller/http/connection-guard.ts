import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { networkOf } from '../network-of.ts';
import { refuse } from '../problem-error.ts';

/**
 * Keeps one network from taking all there is: it has at most half of the connections, and a connection
 * has one request under way. (Clients that pipeline could queue work that nobody waits for.)
 */
export function guardConnections(app: FastifyInstance, maxConnections: number): void {
  const server = app.server as Server;
  server.maxConnections = maxConnections;
  const byNetwork = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    if (socket.remoteAddress === undefined) return; // a Unix socket: whoever may open it
    const network = networkOf(socket.remoteAddress);
    const count = (byNetwork.get(network) ?? 0) + 1;
    byNetwork.set(network, count);
    socket.once('close', () => {
      const left = byNetwork.get(network)! - 1;
      if (left === 0) byNetwork.delete(network);
      else byNetwork.set(network, left);
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
