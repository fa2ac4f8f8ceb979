import { rmSync } from 'node:fs';
import type { FastifyInstance } from 'fastify';
import { listenPrivately } from '../../ground/private-socket.ts';
import type { Caller } from '../operations/caller.ts';
import type { Services } from '../services.ts';
import { accessRoutes } from './access-routes.ts';
import { adminRoutes } from './admin-routes.ts';
import { networkCaller } from './callers.ts';
import { countRequests } from './count-requests.ts';
import { epochRoutes } from './epoch-routes.ts';
import { headerRoutes } from './header-routes.ts';
import { logRoutes } from './log-routes.ts';
import { nodeRoutes } from './node-routes.ts';
import { createServer, type ServerOptions } from './server.ts';
import { stateRoutes } from './state-routes.ts';

/** Whoever can open the 0600 socket. */
const admin = (): Caller => ({ kind: 'admin' });

/** What nodes, evaluators and members reach, and with an access token those who administer. Does not listen yet. */
export async function networkServer(
  services: Services,
  transport: Pick<ServerOptions, 'tls' | 'proxy' | 'maxConnections'>,
): Promise<FastifyInstance> {
  const app = await createServer({ ...answering(services), ...transport });
  countRequests(app, services.requests);
  nodeRoutes(app, services);
  stateRoutes(app, services, networkCaller);
  logRoutes(app, services, networkCaller);
  headerRoutes(app, services);
  epochRoutes(app, services);
  adminRoutes(app, services, networkCaller);
  accessRoutes(app, services, networkCaller);
  return app;
}

/** What admins reach, by way of the socket alone. Does not listen yet. */
export async function adminServer(services: Services): Promise<FastifyInstance> {
  const app = await createServer(answering(services));
  countRequests(app, services.requests);
  adminRoutes(app, services, admin);
  accessRoutes(app, services, admin);
  stateRoutes(app, services, admin);
  logRoutes(app, services, admin);
  return app;
}

/** Listens on a Unix socket that only this user may open. */
export async function listenOnSocket(app: FastifyInstance, path: string): Promise<void> {
  rmSync(path, { force: true }); // the database is locked: whoever listened here is gone
  app.addHook('preClose', async () => app.server.closeAllConnections());
  await app.ready();
  await listenPrivately(app.server, path);
}

function answering({ emit, clock }: Services) {
  return { emit, now: () => clock.now() };
}
