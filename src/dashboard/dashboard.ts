import { randomBytes, X509Certificate } from 'node:crypto';
import type { AddressInfo, Socket } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import helmet from '@fastify/helmet';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { isLoopbackHost } from '../contract/loopback-host.ts';
import { guardConnections } from '../controller/http/connection-guard.ts';
import { type FailedWith, ProblemAnswers } from '../controller/http/problem-answers.ts';
import { useContractSchemas } from '../controller/http/server.ts';
import { listenOnSocket } from '../controller/http/servers.ts';
import type { ServerCertificate } from '../controller/own-certificate.ts';
import { refuse } from '../controller/problem-error.ts';
import { type Asset, loadAssets } from './assets.ts';
import { acceptsGzip } from './gzip-answers.ts';
import { LiveFeed } from './live.ts';
import { liveRoute } from './live-route.ts';
import { describeDashboard } from './openapi.ts';
import { isFromOtherPage, isFromOwnPage, isNamedIn } from './own-page.ts';
import { policyRoutes } from './policy-routes.ts';
import { readRoutes } from './read-routes.ts';
import { sessionRoutes } from './session-routes.ts';
import { Sessions } from './sessions.ts';
import type { DashboardSource } from './source.ts';
import { Visitors } from './visitors.ts';

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

/** Connections; a page has two or three. */
const MAX_CONNECTIONS = 512;
/** A policy document of a thousand groups has less, bytes. */
const BODY_LIMIT = 256 * 1024;
/** Of a node, also of one that there cannot be, characters. */
const MAX_NAME = 1024;
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
  const problems = new ProblemAnswers({
    now: () => Date.now(),
    emit: (event) => {
      if (event.event !== 'request_failed') return;
      const { route, detail, stack } = event;
      onError(Object.assign(new Error(`${route}: ${detail}`), { stack }));
    },
  });
  const app = createApp(tls, problems);
  let named = tls?.certificate && new X509Certificate(tls.certificate.cert);
  const sessions = new Sessions({
    random: (length) => new Uint8Array(randomBytes(length)),
    monotonic: () => performance.now(),
  });
  const visitors = new Visitors(tls !== undefined, sessions, source);
  const live = new LiveFeed(() => source().mesh(), onError);
  // First, so that refusals have them, too.
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
  app.addHook('onSend', (_request, reply, payload, next) => {
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
    next(null, payload);
  });
  app.addHook('onRequest', async (request) => {
    const { host } = request.headers;
    const isOurs = tls === undefined ? isLoopbackHost(host) : named && isNamedIn(named, host);
    if (!isOurs) refuse('misdirected', { expected: OURS[tls === undefined ? 0 : 1] });
    if (request.method !== 'GET' && !isFromOwnPage(request)) refuse('foreign_page');
  });
  problems.register(app);
  await describeDashboard(app, tls !== undefined);
  for (const [path, asset] of assets) {
    app.get(path, {
      schema: { hide: true },
      handler: (request, reply) => sendAsset(asset, request, reply),
    });
  }
  sessionRoutes(app, { visitors, sessions, source });
  await app.register(async (inner) => {
    inner.addHook('onRequest', async (request) => {
      if (isFromOtherPage(request)) refuse('foreign_page');
      await visitors.mustRead(request);
    });
    readRoutes(inner, source, visitors);
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

/** For what no hook sees: a request whose path is none. */
const BARE = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
} as const;

const OURS = ['a loopback address, or localhost', 'a name that the certificate is for'] as const;

function createApp(tls: DashboardOptions['tls'], problems: ProblemAnswers): FastifyInstance {
  const https = { ...tls?.certificate, handshakeTimeout: REQUEST_TIMEOUT };
  const app = fastify({
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: MAX_NAME },
    frameworkErrors: (error: FailedWith, request: FastifyRequest, reply: FastifyReply) =>
      void problems.answer(error, request, reply.headers(BARE)),
    clientErrorHandler: (error: FailedWith, socket: Socket) => problems.answerRaw(error, socket),
    ...(tls === undefined ? {} : { https }),
  } as Parameters<typeof fastify>[0]) as unknown as FastifyInstance;
  app.removeContentTypeParser('text/plain');
  useContractSchemas(app);
  guardConnections(app, MAX_CONNECTIONS);
  return app;
}

function starting(): never {
  refuse('not_ready', { detail: 'The controller is starting.' });
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

function sendAsset(asset: Asset, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.header('etag', asset.etag).header('cache-control', 'no-cache');
  reply.header('vary', 'accept-encoding');
  if (request.headers['if-none-match'] === asset.etag) return reply.code(304).send();
  reply.type(asset.type);
  return acceptsGzip(request)
    ? reply.header('content-encoding', 'gzip').send(asset.gzipped)
    : reply.send(asset.body);
}
