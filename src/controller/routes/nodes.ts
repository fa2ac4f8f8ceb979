import type { FastifyInstance, FastifyRequest } from 'fastify';
import { benchmarkAnswerSchema } from '../../contract/benchmark.ts';
import { endpointAnswerSchema, endpointQuerySchema } from '../../contract/endpoint.ts';
import { enrolmentRequestSchema } from '../../contract/enrolment.ts';
import { envelopeSchema } from '../../contract/envelope.ts';
import { nodeIdField } from '../../contract/fields.ts';
import { SIGNATURE_TAGS, type SignatureTag, splitTarget } from '../../contract/http-signature.ts';
import type { Checked, ProblemCode } from '../../contract/problems.ts';
import { PROTOCOL, PROTOCOL_HEADER, protocolSpoken } from '../../contract/protocol.ts';
import { ConfigQueue } from '../config-queue.ts';
import type { Arrival } from '../enrolments.ts';
import type { Governor } from '../governor.ts';
import { orRefuse, refuse } from '../problem-error.ts';
import type { Services } from '../services.ts';
import type { NodeRecord } from '../store/store.ts';

const nodeParams = {
  type: 'object',
  required: ['node_id'],
  properties: { node_id: nodeIdField },
} as const;

type NodeRequest = FastifyRequest<{ Params: { node_id: string } }>;

/** What nodes call over the network. */
export function nodeRoutes(app: FastifyInstance, services: Services): void {
  const { benchmarks, enrolments, governor, configs, streams } = services;
  const configQueue = new ConfigQueue();

  app.post('/v1/nodes', {
    schema: {
      summary: 'Enrol with a join token',
      body: enrolmentRequestSchema,
      response: { 201: envelopeSchema },
    },
    handler: async (request, reply) => {
      const enrolled = await accounted(services, request, undefined, () =>
        enrolments.enrol(request.body, arrival(request)),
      );
      return reply.code(201).send(orRefuse(enrolled).answer);
    },
  });

  app.put('/v1/nodes/:node_id/endpoint', {
    schema: {
      summary: 'Where members reach the node that signs the request, from the next epoch on',
      params: nodeParams,
      querystring: endpointQuerySchema,
      response: { 200: endpointAnswerSchema },
    },
    handler: async (
      request: FastifyRequest<{ Params: { node_id: string }; Querystring: { endpoint?: string } }>,
      reply,
    ) => {
      const { node } = ownRequest(services, request, SIGNATURE_TAGS.endpoint);
      const endpoint = request.query.endpoint ?? null;
      const answer = orRefuse(await enrolments.moveEndpoint(node, endpoint, arrival(request)));
      return reply.send(answer);
    },
  });

  app.post('/v1/benchmarks/:node_id', {
    schema: {
      summary: 'Report a signed score',
      params: nodeParams,
      body: envelopeSchema,
      response: { 202: benchmarkAnswerSchema },
    },
    handler: async (request: NodeRequest, reply) => {
      const taken = await accounted(services, request, signerNamed(request.body), () =>
        benchmarks.take(request.params.node_id, request.body),
      );
      return reply.code(202).send(orRefuse(taken));
    },
  });

  app.get('/v1/config/:node_id', {
    schema: {
      summary: 'The config of the node that signs the request',
      params: nodeParams,
      response: { 200: envelopeSchema, 304: { type: 'null', description: 'Nothing new' } },
    },
    handler: async (request: NodeRequest, reply) => {
      const { node, nonce } = ownRequest(services, request, SIGNATURE_TAGS.config);
      const protocol = orRefuse(protocolSpoken(splitTarget(request.url).query));
      reply.header('cache-control', 'no-store');
      const etag = configs.etag(node.nodeId, servable(governor).epoch);
      if (request.headers['if-none-match'] === etag) {
        return reply.header('etag', etag).code(304).send();
      }
      const isWanted = () => !request.raw.socket.destroyed;
      const built = await configQueue.add(node.nodeId, isWanted, async () => {
        const now = servable(governor); // there may be a newer epoch than when it was asked for
        reply.header('etag', configs.etag(node.nodeId, now.epoch));
        return configs.build(node, now, nonce, protocol);
      });
      return reply.send(built ?? refuse('overloaded', { detail: 'Ask again in a few seconds.' }));
    },
  });

  app.get('/v1/stream/:node_id', {
    schema: { summary: 'Server-sent events: one for every epoch', params: nodeParams },
    handler: (request: NodeRequest, reply) => {
      const { node } = ownRequest(services, request, SIGNATURE_TAGS.stream);
      reply.hijack();
      const { raw } = reply;
      raw.writeHead(200, {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        [PROTOCOL_HEADER]: PROTOCOL,
        'x-accel-buffering': 'no',
      });
      raw.flushHeaders();
      const ended = streams.add(node.nodeId, {
        get backlog() {
          return raw.writableLength;
        },
        write: (text) => void raw.write(text),
        end: () => void raw.destroy(),
      });
      raw.on('close', ended);
      raw.on('error', ended);
    },
  });
}

/** Refusals that came after a signature had been verified, or a token's secret been asked for. */
const COSTLY: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  'signature_invalid',
  'envelope_signature',
  'signer_not_accepted',
  'key_record_invalid',
  'token_unknown',
  'token_invalid',
]);

/**
 * Runs what verifies a signature, said to be by `keyid`, at the expense of the address if it does not
 * hold; refuses unread what comes from where too much did not.
 */
function accounted<C extends Checked<unknown> | Promise<Checked<unknown>>>(
  { budget }: Services,
  request: FastifyRequest,
  keyid: string | undefined,
  work: () => C,
): C {
  const address = request.socket.remoteAddress ?? '';
  if (budget.isSpent(address, keyid)) {
    refuse('too_many_requests', { detail: 'Too much from this address did not verify.' });
  }
  const account = (checked: Checked<unknown>) => {
    if (!checked.ok && COSTLY.has(checked.problem.code)) budget.charge(address, keyid);
    else if (checked.ok && keyid !== undefined) budget.vouch(address, keyid);
    return checked;
  };
  const checked = work();
  return (checked instanceof Promise ? checked.then(account) : account(checked)) as C;
}

/** The key that an envelope says it is signed by. */
function signerNamed(envelope: unknown): string | undefined {
  const { signatures } = (envelope ?? {}) as { signatures?: unknown };
  const [first] = Array.isArray(signatures) ? (signatures as { keyid?: unknown }[]) : [];
  return typeof first?.keyid === 'string' ? first.keyid : undefined;
}

function arrival({ socket }: FastifyRequest): Arrival {
  const { remoteAddress = '', localAddress = '', localPort = 0 } = socket;
  return { from: remoteAddress, to: { address: localAddress, port: localPort } };
}

function servable(governor: Governor): NonNullable<Governor['servable']> {
  const detail = governor.notReady ?? 'No config can be given out.';
  return governor.servable ?? refuse('not_ready', { detail });
}

/** The node of the path, which must be the one that signed the request. */
function ownRequest(
  services: Services,
  request: NodeRequest,
  tag: SignatureTag,
): { node: NodeRecord; nonce: string } {
  const signed = signedRequest(services, request, tag);
  if (signed.node.nodeId !== request.params.node_id) {
    refuse('wrong_node', { field: 'node_id', expected: 'the node that signed the request' });
  }
  return signed;
}

export function signedRequest(
  services: Services,
  request: FastifyRequest,
  tag: SignatureTag,
): { node: NodeRecord; nonce: string } {
  const parts = {
    method: request.method,
    authority: (request.headers.host ?? '').toLowerCase(),
    ...splitTarget(request.url),
  };
  const { auth, governor, streams, presence } = services;
  const nodeOfKey = (keyid: string) => governor.nodeOfKey(keyid);
  const keyid = /keyid="([^"]*)"/.exec(String(request.headers['signature-input']))?.[1] ?? '';
  const checked = accounted(services, request, keyid, () =>
    auth.verify(nodeOfKey, parts, request.headers, tag),
  );
  if (!checked.ok && governor.wasRemoved(keyid)) {
    refuse('node_removed', { detail: 'To come back it needs a join token, as at first.' });
  }
  const signed = orRefuse(checked);
  streams.seen(signed.node.nodeId);
  if (tag !== SIGNATURE_TAGS.epoch && tag !== SIGNATURE_TAGS.header)
    presence.add(signed.node.nodeId);
  return signed;
}
