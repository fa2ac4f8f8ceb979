import type { Server } from 'node:http';
import { METRICS_MEDIA_TYPE } from '../contract/prometheus.ts';
import { replaceFile } from '../ground/files.ts';
import { type MonitorPage, serveMonitor } from '../ground/monitor-server.ts';
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

/** `/metrics`, `/status.json`, `/readyz` and `/healthz` of one node. Meant for loopback. */
export function serveStatus(
  host: string,
  port: number,
  status: () => NodeStatusDocument,
): Promise<Server> {
  return serveMonitor({
    host,
    port,
    pages: {
      '/metrics': () => page(METRICS_MEDIA_TYPE, nodeMetrics(status())),
      '/status.json': () => page('application/json', JSON.stringify(status())),
      '/healthz': () => page('text/plain', 'ok\n'),
      '/readyz': () => {
        const { ready, ready_reason } = status();
        return page('text/plain', `${ready_reason}\n`, ready ? 200 : 503);
      },
    },
    onFailure: (error) => {
      throw error;
    },
  });
}

function page(type: string, body: string, status = 200): MonitorPage {
  return { status, type, body };
}
