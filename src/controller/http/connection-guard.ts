import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { networkOf } from '../network-of.ts';
import { refuse } from '../problem-error.ts';

/** Whether an address, in whichever way a socket writes it, is the proxy's. */
export function isProxy(proxy: string): (address: string) => boolean {
  return (address) => address === proxy || address === `::ffff:${proxy}`;
}

/**
 * Keeps one network from taking all there is: it has at most half of the connections, and a connection
 * has one request under way. (Clients that pipeline could queue work that nobody waits for.) Where there is
 * a proxy, all connections are its own, and nobody else is heard.
 */
export function guardConnections(
  app: FastifyInstance,
  maxConnections: number,
  proxy?: string,
): void {
  const server = app.server as Server;
  server.maxConnections = maxConnections;
  const byNetwork = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    if (socket.remoteAddress === undefined) return; // a Unix socket: whoever may open it
    if (proxy !== undefined) {
      if (!isProxy(proxy)(socket.remoteAddress)) socket.destroy();
      return;
    }
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
  endWithServer(app);
  const answers = new WeakMap<Socket, ServerResponse>();
  app.addHook('onRequest', (request, reply, next) => {
    const { socket } = request.raw;
    // Ended is enough: who has read an answer may ask on before this side is told that it has left.
    if (answers.get(socket)?.writableEnded === false) {
      reply.header('connection', 'close');
      const expected = 'the answer to the request before it on this connection, awaited';
      return refuse('malformed_request', { field: 'connection', expected });
    }
    answers.set(socket, reply.raw);
    next();
  });
}

/**
 * Connections that are still at their TLS handshake are none of the HTTP server's yet, so that it would
 * wait for them at its end: whoever opens one and says nothing would hold it up.
 */
function endWithServer(app: FastifyInstance): void {
  const open = new Set<Socket>();
  let isClosing = false;
  app.server.on('connection', (socket: Socket) => {
    if (isClosing) return void socket.destroy();
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  app.addHook('preClose', (done) => {
    isClosing = true;
    if ('setSecureContext' in app.server) for (const socket of open) socket.destroy();
    done();
  });
}
