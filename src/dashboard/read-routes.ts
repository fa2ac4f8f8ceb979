import type { FastifyInstance } from 'fastify';
import { orRefuse } from '../controller/problem-error.ts';
import { compress } from './gzip-answers.ts';
import type { DashboardSource } from './source.ts';
import type { Visitors } from './visitors.ts';

/** Entries of a history that are told at most, and without a word about it. */
const MAX_LIMIT = 2000;
const LIMIT = '200';
const LIMITS = {
  type: 'object',
  additionalProperties: false,
  properties: {
    limit: {
      type: 'string',
      pattern: '^(?:[1-9][0-9]{0,2}|1[0-9]{3}|2000)$',
      description: `how many at most, up to ${MAX_LIMIT}; without it ${LIMIT}`,
    },
  },
} as const;
const EPOCH = {
  type: 'object',
  required: ['epoch'],
  additionalProperties: false,
  properties: {
    epoch: { type: 'string', pattern: '^[1-9][0-9]{0,14}$', description: 'the number of an epoch' },
  },
} as const;

interface Limited {
  Querystring: { limit?: string };
}

interface OfNode {
  Params: { id: string };
}

/** What the page reads: snapshots, histories, and the files of the log. */
export function readRoutes(
  app: FastifyInstance,
  source: () => DashboardSource,
  visitors: Visitors,
): void {
  app.get('/api/mesh', {
    schema: { summary: 'Every node with its verdict, and the epoch' },
    handler: async () => source().mesh(),
  });

  app.get<OfNode>('/api/nodes/:id', {
    onSend: compress,
    schema: { summary: 'One node: its suites, scores and verdicts, also of before its removal' },
    handler: ({ params }) => source().node(params.id),
  });

  app.get('/api/reach', {
    onSend: compress,
    schema: { summary: 'Who reaches whom, as nodes tell it' },
    handler: async () => source().reach(),
  });

  app.get<OfNode & { Querystring: { epoch: string } }>('/api/nodes/:id/proof', {
    schema: {
      summary: 'What shows a verdict to anybody, as meshnet log check reads it',
      querystring: EPOCH,
    },
    handler: async (request, reply) => {
      const { params, query } = request;
      const holder = visitors.holder(request);
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      const epoch = Number(query.epoch);
      const proof = orRefuse(await source().proof(params.id, epoch, holder, gone.signal));
      return reply.type('application/json').send(`${JSON.stringify(proof)}\n`);
    },
  });

  app.get<Limited>('/api/epochs', {
    onSend: compress,
    schema: { summary: 'The latest epochs in numbers', querystring: LIMITS },
    handler: async ({ query: { limit = LIMIT } }) => ({ epochs: source().epochs(Number(limit)) }),
  });

  app.get<Limited>('/api/changes', {
    onSend: compress,
    schema: { summary: 'Who was let in or shut out, and what bore on all', querystring: LIMITS },
    handler: async ({ query: { limit = LIMIT } }) => {
      const most = Number(limit);
      return { changes: source().changes(most), marks: source().marks(most) };
    },
  });

  app.get('/api/health', {
    schema: { summary: 'The controller itself, and what asks to be looked at' },
    handler: async () => source().health(),
  });

  logRoutes(app, source);
}

/** The log under `/log/` as C2SP tlog-tiles lays it out. */
function logRoutes(app: FastifyInstance, source: () => DashboardSource): void {
  const file = async (path: string) => Buffer.from(orRefuse(await source().logFile(path)));

  app.get('/log/checkpoint', {
    schema: { summary: "The log's newest checkpoint, a signed note" },
    handler: async (_, reply) => reply.type(NOTE).send(await file('checkpoint')),
  });

  app.get('/log/key', {
    schema: { summary: "The verifier key of the log's checkpoints" },
    handler: async (_, reply) => reply.type(NOTE).send(await file('key')),
  });

  app.get<{ Params: { '*': string } }>('/log/tile/*', {
    schema: { hide: true }, // the path of a tile has any number of parts, which OpenAPI cannot say
    handler: async ({ params }, reply) =>
      reply.type('application/octet-stream').send(await file(`tile/${params['*']}`)),
  });
}

const NOTE = 'text/plain; charset=utf-8';
