import { randomBytes, X509Certificate } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import helmet from '@fastify/helmet';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { isLoopbackHost } from '../contract/loopback-host.ts';
import { guardConnections } from '../controller/http/connection-guard.ts';
import { listenOnSocket } from '../controller/http/servers.ts';
import type { ServerCertificate } from '../controller/own-certificate.ts';
import { orRefuse, ProblemError } from '../controller/problem-error.ts';
import { type Asset, loadAssets } from './assets.ts';
import { GZIP_HEADER, LiveFeed } from './live.ts';
import { isFromOwnPage, isNamedIn } from './own-page.ts';
import { policyRoutes } from './policy-routes.ts';
import { sessionRoutes } from './session-routes.ts';
import { Sessions } from './sessions.ts';
import type { DashboardSource } from './source.ts';
import { Visitors } from './visitors.ts';

const gzipped = promisify(gzip);

/** An address, or a Unix socket, which becomes this user's alone. */
export type DashboardAddress =
  | { readonly host: string; readonly port: number }
  | { readonly path: string };

export interface DashboardOptions {
  readonly listen: DashboardAddress;
  /**
   * It is reached from elsewhere: it speaks TLS, with this certificate or the one that is given later, and
   * shows nothing to whoever has not signed in. Without it: plain HTTP, for this machine alone.
   */
  readonly tls?: { readonly certificate?: ServerCertificate };
  /** Something could not be read for a page. */
  readonly onError: (error: unknown) => void;
}

export interface Dashboard {
  readonly url: string;
  /** From now on it shows this; until then, that the controller is starting. */
  show(source: DashboardSource): void;
  /** For connections from now on. Only where it speaks TLS. */
  useCertificate(certificate: ServerCertificate): void;
  close(): Promise<void>;
}

const LIMITS = {
  type: 'object',
  additionalProperties: false,
  properties: { limit: { type: 'integer', minimum: 1, maximum: 2000, default: 200 } },
} as const;
/** Answers with many of a kind, and nothing secret: they are compressed. */
const HISTORY = { onSend: compress };
/** Connections; a page has two or three. */
const MAX_CONNECTIONS = 512;
/** A policy document of a thousand groups has less, bytes. */
const BODY_LIMIT = 256 * 1024;
/** A request or a handshake that is not complete by then is cut off, ms. */
const REQUEST_TIMEOUT = 10_000;

/**
 * Serves the page and what it reads. On loopback, who is on this machine may look; from elsewhere, who has
 * signed in with an access token. A site that somebody visits may not: it reaches us under another name
 * than ours, and gets nothing; and what it sends changes nothing.
 */
export async function startDashboard(options: DashboardOptions): Promise<Dashboard> {
  const { listen, onError, tls } = options;
  let shown: DashboardSource | undefined;
  const source = () => shown ?? starting();
  const { assets, importMapHash } = loadAssets();
  const app = createApp(tls);
  let named = tls?.certificate && new X509Certificate(tls.certificate.cert);
  const sessions = new Sessions({
    random: (length) => new Uint8Array(randomBytes(length)),
    monotonic: () => performance.now(),
  });
  const visitors = new Visitors(tls !== undefined, sessions, source);
  const live = new LiveFeed(() => source().mesh(), onError);
  app.addHook('onRequest', (request, reply, next) => {
    const { host } = request.headers;
    const isOurs = tls === undefined ? isLoopbackHost(host) : named && isNamedIn(named, host);
    if (!isOurs) return reply.code(421).send({ title: OURS[tls === undefined ? 0 : 1] });
    if (request.method === 'GET' || isFromOwnPage(request)) return next();
    return reply.code(403).send({ title: 'Only this page itself may ask for a change' });
  });
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    if (error instanceof ProblemError) {
      return reply.code(error.problem.status).send(error.problem);
    }
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
    strictTransportSecurity: false, // of all ports of this name: not ours to say
  });
  for (const [path, asset] of assets) {
    app.get(path, (request, reply) => sendAsset(asset, request, reply));
  }
  app.addHook('onSend', (_request, reply, payload, next) => {
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
    next(null, payload);
  });
  sessionRoutes(app, { visitors, sessions, source });
  await app.register(async (inner) => {
    inner.addHook('onRequest', (request) => visitors.mustRead(request));
    readRoutes(inner, source);
    proofRoute(inner, source, visitors);
    policyRoutes(inner, source, visitors);
    liveRoute(inner, live, source, visitors, onError);
  });
  const close = async () => {
    live.close();
    await app.close();
  };
  const show = (source: DashboardSource) => {
    shown = source;
  };
  const useCertificate = (certificate: ServerCertificate) => {
    (app.server as unknown as TlsServer).setSecureContext(certificate);
    named = new X509Certificate(certificate.cert);
  };
  const url = await listenAt(app, listen, tls === undefined ? 'http' : 'https');
  return { url, show, useCertificate, close };
}

const OURS = [
  'Ask by a loopback address or as localhost',
  'Ask by a name that the certificate is for',
] as const;

function createApp(tls: DashboardOptions['tls']): FastifyInstance {
  const https = { ...tls?.certificate, handshakeTimeout: REQUEST_TIMEOUT };
  const app = fastify({
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    ...(tls === undefined ? {} : { https }),
  } as Parameters<typeof fastify>[0]) as unknown as FastifyInstance;
  app.removeContentTypeParser('text/plain');
  guardConnections(app, MAX_CONNECTIONS);
  return app;
}

function starting(): never {
  throw Object.assign(new Error('The controller is starting.'), { statusCode: 503 });
}

async function listenAt(
  app: FastifyInstance,
  address: DashboardAddress,
  scheme: string,
): Promise<string> {
  if ('path' in address) {
    await listenOnSocket(app, address.path);
    return `unix:${address.path}`;
  }
  await app.listen(address);
  const { port } = app.server.address() as AddressInfo;
  return `${scheme}://${address.host.includes(':') ? `[${address.host}]` : address.host}:${port}/`;
}

function readRoutes(app: FastifyInstance, source: () => DashboardSource): void {
  app.get('/api/mesh', async () => source().mesh());
  app.get<{ Params: { id: string } }>('/api/nodes/:id', HISTORY, ({ params }) =>
    source().node(params.id),
  );
  app.get<{ Querystring: { limit: number } }>(
    '/api/epochs',
    { ...HISTORY, schema: { querystring: LIMITS } },
    async ({ query }) => ({ epochs: source().epochs(query.limit) }),
  );
  app.get<{ Querystring: { limit: number } }>(
    '/api/changes',
    { ...HISTORY, schema: { querystring: LIMITS } },
    async ({ query: { limit } }) => {
      return { changes: source().changes(limit), marks: source().marks(limit) };
    },
  );
  app.get('/api/health', async () => source().health());
  app.get<{ Params: { '*': string } }>('/log/*', async ({ params }, reply) => {
    const bytes = orRefuse(await source().logFile(params['*']));
    return reply.type('application/octet-stream').send(Buffer.from(bytes));
  });
}

const EPOCH = {
  type: 'object',
  required: ['epoch'],
  additionalProperties: false,
  properties: { epoch: { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER } },
} as const;

function proofRoute(app: FastifyInstance, source: () => DashboardSource, visitors: Visitors): void {
  app.get<{ Params: { id: string }; Querystring: { epoch: number } }>(
    '/api/nodes/:id/proof',
    { schema: { querystring: EPOCH } },
    async (request, reply) => {
      const { params, query } = request;
      const holder = visitors.holder(request);
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      const proof = orRefuse(await source().proof(params.id, query.epoch, holder, gone.signal));
      return reply.type('application/json').send(`${JSON.stringify(proof)}\n`);
    },
  );
}

async function compress(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): Promise<unknown> {
  if (typeof payload !== 'string' || !acceptsGzip(request)) return payload;
  reply.header('content-encoding', 'gzip').header('vary', 'accept-encoding');
  return gzipped(payload);
}

/** Compressed for who understands it: it tells the asker nothing that is secret, so its length may tell, too. */
function liveRoute(
  app: FastifyInstance,
  live: LiveFeed,
  source: () => DashboardSource,
  visitors: Visitors,
  onError: (error: unknown) => void,
): void {
  app.get('/api/live', async (request, reply) => {
    source();
    if (live.isFull) return reply.code(503).send({ title: 'Too many pages are open' });
    reply.header('content-type', 'text/event-stream').header('cache-control', 'no-store');
    reply.header('vary', 'accept-encoding');
    const isGzip = acceptsGzip(request);
    if (isGzip) reply.header('content-encoding', 'gzip');
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, reply.getHeaders() as Record<string, string>);
    if (isGzip) raw.write(GZIP_HEADER);
    else raw.flushHeaders();
    try {
      const ended = await live.add({
        get backlog() {
          return raw.writableLength;
        },
        write: (event) => void raw.write(isGzip ? event.compressed : event.text),
        end: () => void raw.destroy(),
      });
      raw.once('close', ended);
      raw.once('error', ended);
      raw.once(
        'close',
        visitors.onLeave(request, () => void raw.destroy()),
      );
      if (raw.destroyed) ended();
    } catch (error) {
      onError(error);
      raw.destroy(); // the page asks anew
    }
  });
}

function acceptsGzip(request: FastifyRequest): boolean {
  return /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
}

function sendAsset(asset: Asset, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.header('etag', asset.etag).header('cache-control', 'no-cache');
  reply.header('vary', 'accept-encoding');
  if (request.headers['if-none-match'] === asset.etag) return reply.code(304).send();
  reply.type(asset.type);
  return acceptsGzip(request)
    ? reply.header('content-encoding', 'gzip').send(asset.gzipped)
    : reply.send(asset.body);
}
