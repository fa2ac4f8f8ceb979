import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { counterField } from '../../contract/fields.ts';
import { parseTilePath } from '../../record/tiles.ts';
import { refuse } from '../problem-error.ts';
import type { Services } from '../services.ts';

export const CHECKPOINT_MEDIA_TYPE = 'text/plain; charset=utf-8';
export const LINES_MEDIA_TYPE = 'application/jsonl';

/** What is full, or of an epoch that is over, never changes. */
const FOREVER = 'max-age=31536000, immutable';

const epochParams = {
  type: 'object',
  required: ['epoch'],
  properties: {
    epoch: {
      type: 'string',
      pattern: '^(?:0|[1-9][0-9]{0,15})$',
      description: counterField.description,
    },
  },
} as const;

/**
 * The log under `/log/` as C2SP tlog-tiles lays it out, and beside it what its epochs are made of.
 * `mayRead` refuses callers who may not; caches on the way keep nothing from others' eyes.
 */
export function logRoutes(
  app: FastifyInstance,
  services: Services,
  mayRead: (request: FastifyRequest) => void,
): void {
  const { log, store } = services;

  app.get('/log/checkpoint', {
    schema: { summary: "The log's newest checkpoint, a signed note" },
    handler: async (request, reply) => {
      mayRead(request);
      return reply
        .type(CHECKPOINT_MEDIA_TYPE)
        .header('cache-control', 'no-cache')
        .send(await log.checkpoint());
    },
  });

  app.get<{ Params: { '*': string } }>('/log/tile/*', {
    schema: { hide: true }, // the path of a tile has any number of parts, which OpenAPI cannot say
    handler: async (request, reply) => {
      mayRead(request);
      const tile = parseTilePath(`tile/${request.params['*']}`);
      const bytes = tile && (await store.logTile(tile));
      if (bytes === undefined) return refuse('not_found');
      return send(reply, 'application/octet-stream', bytes);
    },
  });

  app.get<{ Params: { epoch: string } }>('/log/verdicts/:epoch', {
    schema: { summary: "The rows of an epoch's verdicts, one a line", params: epochParams },
    handler: async (request, reply) => {
      mayRead(request);
      const rows = await store.verdictRows(Number(request.params.epoch));
      if (rows === undefined) return refuse('not_found');
      return send(reply, LINES_MEDIA_TYPE, rows);
    },
  });

  app.get<{ Params: { epoch: string } }>('/log/evidence/:epoch', {
    schema: {
      summary:
        'The scores received since the epoch before that one, as they were signed, one a line',
      params: epochParams,
    },
    handler: async (request, reply) => {
      mayRead(request);
      const lines = await store.newEvidence(Number(request.params.epoch));
      if (lines === undefined) return refuse('not_found');
      return send(reply, LINES_MEDIA_TYPE, lines);
    },
  });
}

function send(reply: FastifyReply, mediaType: string, bytes: Uint8Array): FastifyReply {
  return reply
    .type(mediaType)
    .header('cache-control', `private, ${FOREVER}`)
    .send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}
