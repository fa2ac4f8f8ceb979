import { createServer, type Server } from 'node:http';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { METRICS_MEDIA_TYPE } from '../contract/prometheus.ts';
import { replaceFile } from '../ground/files.ts';
import type { AgentClock } from './clock.ts';
import type { EmitEvent } from './events.ts';
import { nodeMetrics } from './metrics.ts';
import type { NodeStatusDocument } from './status.ts';

const WRITE_MS = 1000;

/**
 * Keeps a status file up to date: whole at any moment, at most a second old. It is there to be looked
 * at: where it cannot be written, that is said once, and the node goes on.
 */
export async function writeStatusFile(
  path: string,
  status: () => NodeStatusDocument,
  clock: AgentClock,
  emit: EmitEvent,
  signal: AbortSignal,
): Promise<void> {
  let failure: string | undefined;
  while (!signal.aborted) {
    try {
      await replaceFile(path, `${JSON.stringify(status(), undefined, 1)}\n`, { durable: false });
      if (failure !== undefined) emit({ event: 'file', path, ok: true, detail: '' });
      failure = undefined;
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      if (detail !== failure) emit({ event: 'file', path, ok: false, detail });
      failure = detail;
    }
    await clock.sleep(WRITE_MS, signal);
  }
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

/** `/metrics`, `/status.json`, `/readyz` and `/healthz` of one node. Meant for loopback. */
export function serveStatus(
  host: string,
  port: number,
  status: () => NodeStatusDocument,
): Promise<Server> {
  const server = createServer((request, response) => {
    const send = (code: number, type: string, body: string) => {
      response.writeHead(code, { 'content-type': type, 'cache-control': 'no-store' });
      response.end(request.method === 'HEAD' ? undefined : body);
    };
    if (!isMeant(request.headers.host, host)) {
      return send(421, 'text/plain', 'ask by address, localhost, or the name of this machine\n');
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, 'text/plain', '');
    switch (request.url) {
      case '/metrics':
        return send(200, METRICS_MEDIA_TYPE, nodeMetrics(status()));
      case '/status.json':
        return send(200, 'application/json', JSON.stringify(status()));
      case '/healthz':
        return send(200, 'text/plain', 'ok\n');
      case '/readyz': {
        const { ready, ready_reason } = status();
        return send(ready ? 200 : 503, 'text/plain', `${ready_reason}\n`);
      }
      default:
        return send(404, 'text/plain', 'not found\n');
    }
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve(server));
  });
}
