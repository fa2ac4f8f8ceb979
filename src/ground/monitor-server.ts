import { createServer, type Server, type ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { hostname } from 'node:os';

/** Monitors come one at a time; whoever keeps connections open keeps no more than these. */
const MAX_CONNECTIONS = 64;

export interface MonitorPage {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export interface MonitorOptions {
  readonly host: string;
  readonly port: number;
  /** By path, made when they are asked for. */
  readonly pages: Readonly<Record<string, () => MonitorPage | Promise<MonitorPage>>>;
  /** A page could not be made, and 500 was answered. */
  readonly onFailure: (error: unknown) => void;
}

/** Pages that monitors read, on a port of their own: for everybody who reaches it. Rejects if it cannot listen. */
export function serveMonitor({ host, port, pages, onFailure }: MonitorOptions): Promise<Server> {
  const server = createServer((request, response) => {
    const { method, url = '' } = request;
    const page = Object.hasOwn(pages, url) ? pages[url] : undefined;
    if (!isMeant(request.headers.host, host)) {
      return send(response, 421, 'ask by address, localhost, or the name of this machine\n');
    }
    if (method !== 'GET' && method !== 'HEAD') return send(response, 405, '');
    if (page === undefined) return send(response, 404, 'not found\n');
    Promise.try(page).then(
      ({ status, type, body }) =>
        send(response, status, method === 'HEAD' ? undefined : body, type),
      (error: unknown) => {
        send(response, 500, 'failed\n');
        onFailure(error);
      },
    );
  });
  server.maxConnections = MAX_CONNECTIONS;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve(server));
  });
}

function send(
  response: ServerResponse,
  status: number,
  body: string | undefined,
  type = 'text/plain',
): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
  response.end(body);
}

/**
 * Whether a request was made for this machine. A page in somebody's browser can have a name of its own
 * point here and read what it gets (DNS rebinding), but no address and none of this machine's names.
 */
function isMeant(authority: string | undefined, listening: string): boolean {
  const match = /^(?:\[([\da-f:.]+)\]|([^:[\]]+))(?::\d+)?$/i.exec(authority ?? '');
  const name = match?.[1] ?? match?.[2] ?? '';
  return (
    isIP(name) !== 0 ||
    ['localhost', hostname(), listening].some((own) => own.toLowerCase() === name.toLowerCase())
  );
}
