import type { FastifyInstance } from 'fastify';
import { METRICS_MEDIA_TYPE } from '../../contract/prometheus.ts';
import { PROTOCOL_PARAMETER, protocolParameterField } from '../../contract/protocol.ts';
import { type DescribedCall, describeServer } from './describe-server.ts';

/**
 * The description of the calls at `/openapi.json` (OpenAPI 3.1), made from the schemas that check them,
 * and from what no schema says: names, who may call, and with which status a call can be refused.
 */

type Caller =
  /** What is asked for proves itself: a token's proof, an envelope's signature; or nobody needs to. */
  | 'anybody'
  /** A signed request (RFC 9421) of the node of the path. */
  | 'node'
  /** The same of any member; or from this machine. */
  | 'reader'
  /** The same of any node, denied ones too; or from this machine. */
  | 'enrolled'
  /** An access token or a client certificate with a role, or whoever may open the Unix socket. */
  | 'admin';

interface Operation {
  readonly id: string;
  readonly caller: Caller;
  /** Refusals besides those that any call can meet. */
  readonly refusals?: readonly number[];
  /** A success that is no JSON: its media type. */
  readonly media?: string;
  /** A success without a body. */
  readonly empty?: number;
}

const OPERATIONS: Readonly<Record<string, Operation>> = {
  'POST /v1/nodes': { id: 'enrol', caller: 'anybody', refusals: [401, 403, 409] },
  'PUT /v1/nodes/:node_id/endpoint': {
    id: 'moveEndpoint',
    caller: 'node',
    refusals: [401, 403, 404],
  },
  'PUT /v1/nodes/:node_id/reach': {
    id: 'reportReach',
    caller: 'anybody',
    refusals: [401, 404, 409],
  },
  'POST /v1/nodes/:node_id/leave': { id: 'leave', caller: 'node', refusals: [401, 403, 404, 409] },
  'POST /v1/benchmarks/:node_id': {
    id: 'reportScore',
    caller: 'anybody',
    refusals: [401, 403, 404, 409],
  },
  'POST /v1/epoch/seen': { id: 'reportSeen', caller: 'anybody', refusals: [401] },
  'GET /v1/config/:node_id': { id: 'getConfig', caller: 'node', refusals: [401, 403, 409] },
  'GET /v1/stream/:node_id': {
    id: 'openStream',
    caller: 'node',
    refusals: [401, 403],
    media: 'text/event-stream',
  },
  'GET /v1/lease/:node_id': { id: 'getLease', caller: 'node', refusals: [401, 403] },
  'GET /v1/keys/:node_id': { id: 'getKeys', caller: 'node', refusals: [401, 403, 409] },
  'GET /v1/pieces/:name': {
    id: 'getPiece',
    caller: 'anybody',
    refusals: [404],
    media: 'application/octet-stream',
  },
  'GET /v1/header': { id: 'getHeader', caller: 'enrolled', refusals: [401, 404] },
  'GET /v1/epoch': { id: 'getEpoch', caller: 'reader', refusals: [401, 403] },
  'GET /status.json': { id: 'getStatus', caller: 'reader', refusals: [401, 403] },
  'GET /metrics': {
    id: 'getMetrics',
    caller: 'reader',
    refusals: [401, 403],
    media: METRICS_MEDIA_TYPE,
  },
  'GET /log/checkpoint': {
    id: 'getCheckpoint',
    caller: 'reader',
    refusals: [401, 403],
    media: 'text/plain',
  },
  'GET /log/consistency': { id: 'getConsistency', caller: 'enrolled', refusals: [401, 403] },
  'GET /log/key': { id: 'getLogKey', caller: 'reader', refusals: [401, 403], media: 'text/plain' },
  'GET /log/verdicts/:epoch': {
    id: 'getVerdicts',
    caller: 'reader',
    refusals: [401, 403, 404],
    media: 'application/jsonl',
  },
  'GET /log/evidence/:epoch': {
    id: 'getEvidence',
    caller: 'reader',
    refusals: [401, 403, 404],
    media: 'application/jsonl',
  },
  'GET /log/proof/:epoch': { id: 'getOwnProof', caller: 'enrolled', refusals: [401, 403, 404] },
  'GET /.well-known/jwks.json': { id: 'getKeySet', caller: 'anybody' },
  'GET /healthz': { id: 'getHealth', caller: 'anybody' },
  'GET /readyz': { id: 'getReadiness', caller: 'anybody' },
  'POST /v1/rotate': { id: 'rotate', caller: 'admin', refusals: [409] },
  'POST /v1/brake/release': { id: 'releaseBrake', caller: 'admin', refusals: [409] },
  'GET /v1/policy': { id: 'showPolicy', caller: 'admin' },
  'PUT /v1/policy': { id: 'setPolicy', caller: 'admin', refusals: [409] },
  'POST /v1/tokens': { id: 'createToken', caller: 'admin' },
  'GET /v1/tokens': { id: 'listTokens', caller: 'admin' },
  'DELETE /v1/tokens/:id': { id: 'withdrawToken', caller: 'admin', refusals: [404], empty: 204 },
  'POST /v1/access': { id: 'grantAccess', caller: 'admin', refusals: [409] },
  'GET /v1/access': { id: 'listAccess', caller: 'admin' },
  'GET /v1/whoami': { id: 'whoIsIt', caller: 'admin' },
  'DELETE /v1/access/:id': { id: 'revokeAccess', caller: 'admin', refusals: [404], empty: 204 },
  'DELETE /v1/nodes/:node_id': { id: 'removeNode', caller: 'admin', refusals: [404, 409] },
  'GET /v1/events': { id: 'readEvents', caller: 'admin', media: 'application/jsonl' },
  'POST /v1/nodes/:node_id/reset-sequence': {
    id: 'resetSequences',
    caller: 'admin',
    refusals: [404],
    empty: 204,
  },
};

/** Any call can meet these. */
const ALWAYS = [400, 408, 422, 429, 431, 500, 503];

const SECURITY: Readonly<Record<Caller, readonly object[]>> = {
  anybody: [],
  node: [{ requestSignature: [] }],
  reader: [{ requestSignature: [] }, { accessToken: [] }, { clientCertificate: [] }, {}],
  enrolled: [{ requestSignature: [] }, { accessToken: [] }, { clientCertificate: [] }, {}],
  admin: [{ accessToken: [] }, { clientCertificate: [] }, {}],
};

/** The parameter that any call can have. */
const numberedQuery = {
  type: 'object',
  properties: { [PROTOCOL_PARAMETER]: protocolParameterField },
};

export async function describeCalls(app: FastifyInstance): Promise<void> {
  await describeServer(app, {
    title: 'Aligned Meshnet controller',
    description: 'What nodes, evaluators, monitors and administrators ask of a controller.',
    server: 'the address that the controller listens on',
    securitySchemes: {
      accessToken: {
        type: 'http',
        scheme: 'bearer',
        description: 'An access token, over TLS; its role says what may be done with it',
      },
      clientCertificate: {
        type: 'mutualTLS',
        description: 'A certificate of the authority of clients, whose name has a role',
      },
      requestSignature: {
        type: 'apiKey',
        in: 'header',
        name: 'signature',
        description:
          'RFC 9421 with Ed25519 over method, authority, path and query; see signature-input',
      },
    },
    calls: new Map(Object.entries(OPERATIONS).map(([route, one]) => [route, described(one)])),
  });
}

function described({ id, caller, refusals = [], ...success }: Operation): DescribedCall {
  const isAdmin = caller === 'admin';
  return {
    id,
    tag: isAdmin ? 'administration' : 'mesh',
    security: SECURITY[caller],
    refusals: [...(isAdmin ? [401, 403] : []), ...refusals, ...ALWAYS],
    ...success,
    ...(!isAdmin && { query: numberedQuery }),
  };
}
