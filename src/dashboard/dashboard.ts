import type { AddressInfo } from 'node:net';
import helmet from '@fastify/helmet';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { isLoopbackHost } from '../contract/loopback-host.ts';
import { listenOnSocket } from '../controller/http/servers.ts';
import { type Asset, loadAssets } from './assets.ts';
import type { ChangeView, EpochPoint, HealthView, MeshView, NodeHistory } from './documents.ts';
import { LiveFeed } from './live.ts';

/** What the dashboard shows. It reads, and changes nothing. */
export interface DashboardSource {
  mesh(): Promise<MeshView>;
  node(id: string): Promise<NodeHistory>;
  epochs(limit: number): readonly EpochPoint[];
  changes(limit: number): readonly ChangeView[];
  health(): HealthView;
  /** A file of the log by its path below `/log/`, or `key`: how its key is told to tools. */
  logFile(path: string): Promise<Uint8Array | undefined>;
}

/** An address of this machine alone, or a Unix socket, which becomes this user's alone. */
export type DashboardAddress =
  | { readonly host: string; readonly port: number }
  | { readonly path: string };

export interface DashboardOptions {
  readonly listen: DashboardAddress;
  /** Something could not be read for a page. */
  readonly onError: (error: unknown) => void;
}

export interface Dashboard {
  readonly url: string;
  /** From now on it shows this; until then, that the controller is starting. */
  show(source: DashboardSource): void;
  close(): Promise<void>;
}

const LIMITS = {
  type: 'object',
  additionalProperties: false,
  properties: { limit: { type: 'integer', minimum: 1, maximum: 2000, default: 200 } },
} as const;
/** Connections; a page has two or three. */
const MAX_CONNECTIONS = 512;

/**
 * Serves the page and what it reads, on loopback: who is on this machine may look. A site that somebody
 * on this machine visits may not: it reaches us under another name than ours, and gets nothing.
 */
export async function startDashboard(options: DashboardOptions): Promise<Dashboard> {
  const { listen, onError } = options;
  let shown: DashboardSource | undefined;
  const source = () => shown ?? starting();
  const { assets, importMapHash } = loadAssets();
  const app = fastify({ forceCloseConnections: true, exposeHeadRoutes: false });
  app.server.maxConnections = MAX_CONNECTIONS;
  const live = new LiveFeed(() => source().mesh(), onError);
  app.addHook('onRequest', (request, reply, next) => {
    if (isLoopbackHost(request.headers.host)) return next();
    return reply.code(421).send({ title: 'Ask by a loopback address or as localhost' });
  });
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const { statusCode = 500 } = error;
    if (statusCode === 500) onError(error);
    const detail = statusCode === 500 ? 'It could not be read; the log says why.' : error.message;
    return reply.code(statusCode).send({ title: 'The controller could not answer', detail });
  });
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ title: 'Not found' }));
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'", importMapHash],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    crossOriginEmbedderPolicy: true,
    frameguard: { action: 'deny' },
    referrerPolicy: { policy: 'no-referrer' },
    strictTransportSecurity: false, // plain HTTP, and on loopback only
  });
  for (const [path, asset] of assets) {
    app.get(path, (request, reply) => sendAsset(asset, request, reply));
  }
  readRoutes(app, source);
  liveRoute(app, live, source);
  const close = async () => {
    live.close();
    await app.close();
  };
  const show = (source: DashboardSource) => {
    shown = source;
  };
  return { url: await listenAt(app, listen), show, close };
}

function starting(): never {
  throw Object.assign(new Error('The controller is starting.'), { statusCode: 503 });
}

async function listenAt(app: FastifyInstance, address: DashboardAddress): Promise<string> {
  if ('path' in address) {
    await listenOnSocket(app, address.path);
    return `unix:${address.path}`;
  }
  await app.listen(address);
  const { port } = app.server.address() as AddressInfo;
  return `http://${address.host.includes(':') ? `[${address.host}]` : address.host}:${port}/`;
}

function readRoutes(app: FastifyInstance, source: () => DashboardSource): void {
  app.addHook('onSend', (_request, reply, payload, next) => {
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
    next(null, payload);
  });
  app.get('/api/mesh', async () => source().mesh());
  app.get<{ Params: { id: string } }>('/api/nodes/:id', ({ params }) => source().node(params.id));
  app.get<{ Querystring: { limit: number } }>(
    '/api/epochs',
    { schema: { querystring: LIMITS } },
    async ({ query }) => ({ epochs: source().epochs(query.limit) }),
  );
  app.get<{ Querystring: { limit: number } }>(
    '/api/changes',
    { schema: { querystring: LIMITS } },
    async ({ query }) => ({ changes: source().changes(query.limit) }),
  );
  app.get('/api/health', async () => source().health());
  app.get<{ Params: { '*': string } }>('/log/*', async ({ params }, reply) => {
    const bytes = await source().logFile(params['*']);
    if (bytes === undefined) return reply.code(404).send({ title: 'There is no such file' });
    return reply.type('application/octet-stream').send(Buffer.from(bytes));
  });
}

function liveRoute(app: FastifyInstance, live: LiveFeed, source: () => DashboardSource): void {
  app.get('/api/live', async (_request, reply) => {
    source();
    if (live.isFull) return reply.code(503).send({ title: 'Too many pages are open' });
    reply.hijack();
    const { raw } = reply;
    const headers = { ...reply.getHeaders(), 'content-type': 'text/event-stream' };
    raw.writeHead(200, { ...headers, 'cache-control': 'no-store' } as Record<string, string>);
    raw.flushHeaders();
    const ended = await live.add({
      get backlog() {
        return raw.writableLength;
      },
      write: (text) => void raw.write(text),
      end: () => void raw.destroy(),
    });
    raw.once('close', ended);
    raw.once('error', ended);
    if (raw.destroyed) ended();
  });
}

function sendAsset(asset: Asset, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.header('etag', asset.etag).header('cache-control', 'no-cache');
  reply.header('vary', 'accept-encoding');
  if (request.headers['if-none-match'] === asset.etag) return reply.code(304).send();
  reply.type(asset.type);
  const isGzip = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
  return isGzip
    ? reply.header('content-encoding', 'gzip').send(asset.gzipped)
    : reply.send(asset.body);
}
