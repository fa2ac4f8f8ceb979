import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { counterField } from '../../contract/fields.ts';
import { consistencyQuerySchema, consistencySchema } from '../../contract/record/consistency.ts';
import { proofSchema } from '../../contract/record/proof.ts';
import type { Caller } from '../operations/caller.ts';
import {
  consistencyReadersOnly,
  ownProofAsker,
  readCheckpoint,
  readConsistency,
  readEvidence,
  readLogKey,
  readOwnProof,
  readTile,
  readVerdictRows,
  verdictsShownTo,
} from '../operations/read-log.ts';
import { orRefuse } from '../problem-error.ts';
import type { Services } from '../services.ts';
import { first } from './first.ts';
import { LINES_MEDIA_TYPE } from './media-types.ts';

const CHECKPOINT_MEDIA_TYPE = 'text/plain; charset=utf-8';

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

interface EpochParams {
  Params: { epoch: string };
}

/**
 * The log under `/log/` as C2SP tlog-tiles lays it out, and beside it what its epochs are made of.
 * `callerOf` says who asks; caches on the way keep nothing from others' eyes.
 */
export function logRoutes(
  app: FastifyInstance,
  services: Services,
  callerOf: (request: FastifyRequest) => Caller,
): void {
  app.get('/log/checkpoint', {
    schema: { summary: "The log's newest checkpoint, a signed note" },
    handler: async (request, reply) => {
      const checkpoint = orRefuse(await readCheckpoint(services, callerOf(request)));
      return reply.type(CHECKPOINT_MEDIA_TYPE).header('cache-control', 'no-cache').send(checkpoint);
    },
  });

  app.get('/log/key', {
    schema: { summary: "The verifier key of the log's checkpoints" },
    handler: async (request, reply) => {
      const key = orRefuse(await readLogKey(services, callerOf(request)));
      return reply.type(CHECKPOINT_MEDIA_TYPE).header('cache-control', 'no-cache').send(`${key}\n`);
    },
  });

  app.get<{ Params: { '*': string } }>('/log/tile/*', {
    schema: { hide: true }, // the path of a tile has any number of parts, which OpenAPI cannot say
    handler: async (request, reply) => {
      const path = `tile/${request.params['*']}`;
      const bytes = orRefuse(await readTile(services, callerOf(request), path));
      return send(reply, 'application/octet-stream', bytes);
    },
  });

  app.get<{ Querystring: { old: string; size: string } }>('/log/consistency', {
    ...first((request) => consistencyReadersOnly(services, callerOf(request))),
    schema: {
      summary: 'What shows that the log begins with all that it had at an earlier size',
      querystring: consistencyQuerySchema,
      response: { 200: consistencySchema },
    },
    handler: async (request) => {
      const { old, size } = request.query;
      const caller = callerOf(request);
      return orRefuse(await readConsistency(services, caller, Number(old), Number(size)));
    },
  });

  app.get<EpochParams>('/log/verdicts/:epoch', {
    ...first((request) => verdictsShownTo(services, callerOf(request))),
    schema: { summary: "The rows of an epoch's verdicts, one a line", params: epochParams },
    handler: async (request, reply) => {
      const epoch = Number(request.params.epoch);
      const rows = orRefuse(await readVerdictRows(services, callerOf(request), epoch));
      return send(reply, LINES_MEDIA_TYPE, rows);
    },
  });

  app.get<EpochParams>('/log/evidence/:epoch', {
    ...first((request) => verdictsShownTo(services, callerOf(request))),
    schema: {
      summary: 'The scores that its rows name first, as they were signed, one a line',
      params: epochParams,
    },
    handler: async (request, reply) => {
      const epoch = Number(request.params.epoch);
      const lines = orRefuse(await readEvidence(services, callerOf(request), epoch));
      return send(reply, LINES_MEDIA_TYPE, lines);
    },
  });

  app.get<EpochParams>('/log/proof/:epoch', {
    ...first((request) => ownProofAsker(services, callerOf(request))),
    schema: {
      summary:
        "What shows the asker's own verdict in an epoch to anybody; denied nodes may ask, too",
      params: epochParams,
      response: { 200: proofSchema },
    },
    handler: async (request) =>
      orRefuse(await readOwnProof(services, callerOf(request), Number(request.params.epoch))),
  });
}

function send(reply: FastifyReply, mediaType: string, bytes: Uint8Array): FastifyReply {
  return reply
    .type(mediaType)
    .header('cache-control', `private, ${FOREVER}`)
    .send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}
