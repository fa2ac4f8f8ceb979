import { rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { problem } from '../../contract/problems.ts';
import { listenPrivately } from '../../ground/private-socket.ts';
import type { EmitEvent } from '../events.ts';
import type { NodeStatusDocument } from '../status.ts';
import type { EventFeed } from './event-feed.ts';
import type { PingAnswer } from './ping-node.ts';

/** Asked one at a time by people; whoever keeps connections open keeps no more than these. */
const MAX_CONNECTIONS = 32;
const LINES = 'application/jsonl';

export const nodeSocketIn = (stateDirectory: string) => join(stateDirectory, 'node.sock');

export interface NodeSocketParts {
  readonly status: () => NodeStatusDocument;
  readonly feed: EventFeed;
  /** Undefined: this node knows none of that name. */
  readonly ping: (node: string) => Promise<PingAnswer | undefined>;
  /** Ends the node. */
  readonly stop: () => void;
}

/**
 * What this machine's administrators ask a running node, on a Unix socket in its state directory that
 * only its user may open: `GET /v1/status`, `GET /v1/events`, `POST /v1/ping/NODE`, `POST /v1/stop`.
 * Where it cannot listen (the path is too long for a socket), that is said, and the node goes on.
 */
export async function openNodeSocket(
  stateDirectory: string,
  emit: EmitEvent,
  parts: NodeSocketParts,
): Promise<Server | undefined> {
  try {
    return await listen(nodeSocketIn(stateDirectory), parts);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    emit({ event: 'file', path: nodeSocketIn(stateDirectory), ok: false, detail });
    return undefined;
  }
}

async function listen(path: string, parts: NodeSocketParts): Promise<Server> {
  const server = createServer((request, response) => {
    answer(request, response, parts).catch((error: unknown) => {
      const detail = error instanceof Error ? error.message : String(error);
      refuse(response, problem('internal_error', { detail }));
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  rmSync(path, { force: true }); // the directory is locked: whoever listened here is gone
  await listenPrivately(server, path);
  return server;
}

async function answer(
  { method, url = '' }: IncomingMessage,
  response: ServerResponse,
  { status, feed, ping, stop }: NodeSocketParts,
): Promise<void> {
  const { pathname, searchParams } = new URL(url, 'http://node');
  const node = /^\/v1\/ping\/([a-z0-9-]{1,63})$/.exec(pathname)?.[1];
  if (method === 'GET' && pathname === '/v1/status') return send(response, status());
  if (method === 'GET' && pathname === '/v1/events') {
    const follow = searchParams.get('follow') === 'true';
    if (follow && feed.isFull) return refuse(response, problem('overloaded', {}));
    response.writeHead(200, { 'content-type': LINES });
    if (follow) feed.follow(response, searchParams.get('routine') === 'true');
    else response.end(feed.text);
    return;
  }
  if (method === 'POST' && node !== undefined) {
    const found = await ping(node);
    if (found !== undefined) return send(response, found);
    const expected = 'a node of the roster';
    return refuse(response, problem('unknown_node', { field: 'node', expected }));
  }
  if (method === 'POST' && pathname === '/v1/stop') {
    send(response, {});
    return stop();
  }
  refuse(response, problem('not_found', {}));
}

function send(response: ServerResponse, value: object, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

function refuse(response: ServerResponse, value: ReturnType<typeof problem>): void {
  send(response, value, value.status);
}
