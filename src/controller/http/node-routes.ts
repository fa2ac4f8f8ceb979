import type { ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { rotateAnswerSchema } from '../../contract/admin.ts';
import { benchmarkAnswerSchema } from '../../contract/benchmark.ts';
import {
  type EndpointQuery,
  endpointAnswerSchema,
  endpointQuerySchema,
} from '../../contract/endpoint.ts';
import { enrolmentRequestSchema } from '../../contract/enrolment.ts';
import { envelopeSchema } from '../../contract/envelope.ts';
import { SIGNATURE_TAGS } from '../../contract/http-signature.ts';
import { PROTOCOL, PROTOCOL_HEADER } from '../../contract/protocol.ts';
import { reachAnswerSchema } from '../../contract/reach.ts';
import { announceEndpoint, type EndpointCall } from '../operations/announce-endpoint.ts';
import { enrol } from '../operations/enrol.ts';
import { leave } from '../operations/leave.ts';
import { openStream } from '../operations/open-stream.ts';
import { readConfig } from '../operations/read-config.ts';
import { reportReach } from '../operations/report-reach.ts';
import { reportScore } from '../operations/report-score.ts';
import { reportSeen } from '../operations/report-seen.ts';
import { orRefuse } from '../problem-error.ts';
import type { Services } from '../services.ts';
import type { StreamSink } from '../stream-hub.ts';
import { arrivalOf, networkRequest } from './callers.ts';
import { nodeFirst } from './first.ts';
import { type NodeParams, nodeParams } from './node-params.ts';

/** What nodes call over the network. */
export function nodeRoutes(app: FastifyInstance, services: Services): void {
  const itself = nodeFirst(services);

  app.post('/v1/nodes', {
    schema: {
      summary: 'Enrol with a join token',
      body: enrolmentRequestSchema,
      response: { 201: envelopeSchema },
    },
    handler: async (request, reply) => {
      const call = { body: request.body, arrival: arrivalOf(request) };
      return reply.code(201).send(orRefuse(await enrol(services, call)));
    },
  });

  app.put<NodeParams & { Querystring: EndpointQuery }>('/v1/nodes/:node_id/endpoint', {
    ...itself(SIGNATURE_TAGS.endpoint),
    schema: {
      summary: 'Where members reach the node that signs the request, from the next epoch on',
      params: nodeParams,
      querystring: endpointQuerySchema,
      response: { 200: endpointAnswerSchema },
    },
    handler: async (request) => {
      const { node_id: nodeId } = request.params;
      const call = { nodeId, request: networkRequest(request), where: whereOf(request.query) };
      return orRefuse(await announceEndpoint(services, call));
    },
  });

  app.put<NodeParams>('/v1/nodes/:node_id/reach', {
    schema: {
      summary:
        'Tell what the node that signs the body has of others: for people, nothing is decided by it',
      params: nodeParams,
      body: envelopeSchema,
      response: { 200: reachAnswerSchema },
    },
    handler: async (request) => {
      const { from } = arrivalOf(request);
      const call = { nodeId: request.params.node_id, body: request.body, from };
      return orRefuse(await reportReach(services, call));
    },
  });

  app.post<NodeParams>('/v1/nodes/:node_id/leave', {
    ...itself(SIGNATURE_TAGS.leave),
    schema: {
      summary: 'The node that signs the request leaves the mesh: a new epoch at once',
      params: nodeParams,
      response: { 200: rotateAnswerSchema },
    },
    handler: async (request) => {
      const call = { nodeId: request.params.node_id, request: networkRequest(request) };
      return orRefuse(await leave(services, call));
    },
  });

  app.post<NodeParams>('/v1/benchmarks/:node_id', {
    schema: {
      summary: 'Report a signed score',
      params: nodeParams,
      body: envelopeSchema,
      response: { 202: benchmarkAnswerSchema },
    },
    handler: async (request, reply) => {
      const { from } = arrivalOf(request);
      const call = { nodeId: request.params.node_id, body: request.body, from };
      return reply.code(202).send(orRefuse(await reportScore(services, call)));
    },
  });

  app.post('/v1/epoch/seen', {
    schema: {
      summary:
        'Show a signed header or event of an epoch that is newer than what this controller gave out',
      body: envelopeSchema,
      response: { 200: rotateAnswerSchema },
    },
    handler: async (request) => {
      const { from } = arrivalOf(request);
      return orRefuse(await reportSeen(services, { body: request.body, from }));
    },
  });

  app.get<NodeParams>('/v1/config/:node_id', {
    ...itself(SIGNATURE_TAGS.config),
    schema: {
      summary: 'The config of the node that signs the request',
      params: nodeParams,
      response: { 200: envelopeSchema, 304: { type: 'null', description: 'Nothing new' } },
    },
    handler: async (request, reply) => {
      reply.header('cache-control', 'no-store');
      const answer = await readConfig(services, {
        nodeId: request.params.node_id,
        request: networkRequest(request),
        knownEtag: request.headers['if-none-match'],
        isWanted: () => !request.raw.socket.destroyed,
      });
      const { etag, config } = orRefuse(answer);
      reply.header('etag', etag);
      return config === undefined ? reply.code(304).send() : reply.send(config);
    },
  });

  app.get<NodeParams>('/v1/stream/:node_id', {
    ...itself(SIGNATURE_TAGS.stream),
    schema: { summary: 'Server-sent events: one for every epoch', params: nodeParams },
    handler: (request, reply) => {
      const { raw } = reply;
      const open = () => {
        reply.hijack();
        return eventStream(raw);
      };
      const call = { nodeId: request.params.node_id, request: networkRequest(request), open };
      const ended = orRefuse(openStream(services, call));
      raw.on('close', ended);
      raw.on('error', ended);
    },
  });
}

function whereOf({ endpoint, candidates, seen_port }: EndpointQuery): EndpointCall['where'] {
  if (candidates === undefined && seen_port === undefined) return endpoint ?? null;
  return {
    candidates: candidates?.split(',') ?? [],
    seenPort: seen_port === undefined ? undefined : Number(seen_port),
  };
}

/**
 * Begins to answer with server-sent events. The answer ends with its connection, so it needs no chunks, and
 * once its head has left what follows is written to the connection itself. Node would hand over what is
 * written to the answer at the end of this turn, and whoever commits an epoch has a disk to wait for before that.
 */
function eventStream(raw: ServerResponse): StreamSink {
  raw.useChunkedEncodingByDefault = false;
  raw.writeHead(200, {
    connection: 'close',
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    [PROTOCOL_HEADER]: PROTOCOL,
    'x-accel-buffering': 'no',
  });
  raw.flushHeaders();
  return {
    get backlog() {
      return raw.writableLength;
    },
    write: (text) => void raw.socket?.write(text),
    end: () => void raw.destroy(),
  };
}
