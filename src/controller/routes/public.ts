import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type EpochDocument, epochSchema } from '../../contract/epoch.ts';
import { SIGNATURE_TAGS } from '../../contract/http-signature.ts';
import { METRICS_MEDIA_TYPE } from '../../contract/prometheus.ts';
import { membersOf } from '../epoch.ts';
import { epochDocument } from '../epoch-document.ts';
import { controllerMetrics } from '../metrics.ts';
import { refuse } from '../problem-error.ts';
import type { Services } from '../services.ts';
import { signedRequest } from './nodes.ts';

/** However many ask, it is made once for what it says: again after a change, or when its ages are old. */
function cachedEpoch(services: Services) {
  const { governor, clock, counters } = services;
  let cached: { readonly of: string; readonly document: Promise<EpochDocument> } | undefined;
  return (): Promise<EpochDocument> => {
    const { epoch = 0, version = 0 } = governor.current ?? {};
    const second = Math.floor(clock.now() / 1000);
    const of = [epoch, version, governor.revision, counters.count('score_accepted'), second].join(
      '.',
    );
    if (cached?.of !== of) {
      cached = { of, document: epochDocument(services) };
    }
    return cached.document;
  };
}

/** State that people, monitors and members read. `mayRead` refuses callers who may not. */
export function stateRoutes(
  app: FastifyInstance,
  services: Services,
  mayRead: (request: FastifyRequest) => void,
): void {
  const { governor, streams, counters, problems } = services;
  const epoch = cachedEpoch(services);

  app.get('/v1/epoch', {
    schema: { summary: 'Who is in, who is out, and why', response: { 200: epochSchema } },
    handler: async (request) => {
      mayRead(request);
      return epoch();
    },
  });

  app.get('/status.json', {
    schema: {
      summary: 'The same, as written to disk at every epoch',
      response: { 200: epochSchema },
    },
    handler: async (request) => {
      mayRead(request);
      return epoch();
    },
  });

  app.get('/metrics', {
    schema: { summary: 'Prometheus metrics' },
    handler: async (request, reply) => {
      mayRead(request);
      const text = controllerMetrics(await epoch(), {
        streams: streams.size,
        acceptedBenchmarks: counters.count('score_accepted'),
        problems,
        ready: governor.notReady === undefined,
      });
      return reply.type(METRICS_MEDIA_TYPE).send(text);
    },
  });

  app.get('/healthz', {
    schema: { summary: 'The process is alive' },
    handler: async () => ({ status: 'ok' }),
  });

  app.get('/readyz', {
    schema: { summary: 'Epochs are being decided' },
    handler: async () => {
      const { notReady } = governor;
      if (notReady !== undefined) return refuse('not_ready', { detail: notReady });
      return { status: 'ready', epoch: governor.current?.epoch };
    },
  });

  app.get('/openapi.json', { schema: { hide: true }, handler: async () => app.swagger() });
}

/** Loopback callers if the settings say so, and members of the present epoch. */
export function membersAndLoopback(services: Services): (request: FastifyRequest) => void {
  const { settings, governor } = services;
  return (request) => {
    if (settings.epochOnLoopback && isFromHere(request)) return;
    const { node } = signedRequest(services, request, SIGNATURE_TAGS.epoch);
    if (!membersOf(governor.current).has(node.nodeId)) {
      refuse('not_authorized', { expected: 'a member of the present epoch' });
    }
  };
}

const PROXY_HEADERS = ['forwarded', 'via', 'x-forwarded-for', 'x-real-ip'];
const LOOPBACK_HOST = /^(?:127(?:\.\d{1,3}){3}|localhost|\[::1\])(?::\d{1,5})?$/i;

/** A caller on this machine that asks for itself: no proxy, no page of some other site. */
export function isFromHere({ socket, headers }: FastifyRequest): boolean {
  const address = socket.remoteAddress ?? '';
  if (address !== '::1' && !/^(?:::ffff:)?127\./.test(address)) return false;
  if (PROXY_HEADERS.some((name) => headers[name] !== undefined)) return false;
  return LOOPBACK_HOST.test(headers.host ?? '');
}
