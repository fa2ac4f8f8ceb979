import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Checked } from '../../contract/problems.ts';
import { METRICS_MEDIA_TYPE } from '../../contract/prometheus.ts';
import { type MonitorPage, serveMonitor } from '../../ground/monitor-server.ts';
import { thrown } from '../events.ts';
import type { Caller } from '../operations/caller.ts';
import { readEpoch, readMetrics, readReadiness } from '../operations/read-state.ts';
import type { Services } from '../services.ts';

const MONITOR: Caller = { kind: 'monitor' };

/** `/metrics`, `/status.json`, `/readyz` and `/healthz` for monitors, on an address of their own. */
export async function monitorServer(
  services: Services,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<Server> {
  const server = await serveMonitor({
    host,
    port,
    pages: {
      '/metrics': async () => page(METRICS_MEDIA_TYPE, await readMetrics(services, MONITOR)),
      '/status.json': async () => jsonPage(await readEpoch(services, MONITOR)),
      '/readyz': () => jsonPage(readReadiness(services)),
      '/healthz': () => ({ status: 200, type: 'text/plain', body: 'ok\n' }),
    },
    onFailure: (error) =>
      services.emit({ event: 'request_failed', route: 'a monitor', ...thrown(error) }),
  });
  const { address, family, port: bound } = server.address() as AddressInfo;
  const authority = family === 'IPv6' ? `[${address}]:${bound}` : `${address}:${bound}`;
  services.emit({ event: 'monitors_served', url: `http://${authority}` });
  return server;
}

function page(type: string, answer: Checked<string>): MonitorPage {
  return answer.ok ? { status: 200, type, body: answer.value } : jsonPage(answer);
}

function jsonPage(answer: Checked<object>): MonitorPage {
  const [status, value] = answer.ok ? [200, answer.value] : [answer.problem.status, answer.problem];
  return { status, type: 'application/json', body: JSON.stringify(value) };
}
