import { once } from 'node:events';
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttps, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Admission, admit } from './admission.ts';
import { type PodIdentity, ReviewError } from './token-review.ts';

/**
 * Pods come here with a token of their service account and leave with a join token for the node that they
 * may be:
 *
 *   POST /v1/join-token   Authorization: Bearer TOKEN   -> 200 {node_id, token}
 *
 * `token` is null for a node that is enrolled: its keys are in its state. 401: Kubernetes does not vouch for
 * the token. 403: it does, but such a pod may not enrol. 503: nobody could be asked; come again.
 */
export const JOIN_TOKEN_PATH = '/v1/join-token';

export interface JoinTokenAnswer {
  readonly node_id: string;
  readonly token: string | null;
}

export interface JoinTokenServices {
  readonly admission: Admission;
  /** Who shows this token. Rejects with a `ReviewError`. */
  readonly review: (token: string) => Promise<PodIdentity | undefined>;
  /** A join token for this node alone; null if it is enrolled. Rejects if the controller does not answer. */
  readonly issue: (nodeId: string) => Promise<string | null>;
  /** Told of every answer: the node's name, or what was wrong. Never a token. */
  readonly told: (event: JoinTokenEvent) => void;
}

export interface JoinTokenEvent {
  readonly event: 'issued' | 'enrolled_already' | 'refused' | 'failed';
  readonly address: string;
  readonly node?: string;
  readonly reason?: string;
}

/** Reviews under way at once; each is a call to the API server. */
const MAX_UNDER_WAY = 16;
const MAX_CONNECTIONS = 256;
const REQUEST_TIMEOUT = 10_000;
/** A service account's token has about 1 KB. */
const MAX_HEADERS = 16 * 1024;

export interface JoinTokenServer {
  readonly port: number;
  /** A renewed certificate. */
  useCertificate(certificate: { readonly cert: string; readonly key: string }): void;
  close(): Promise<void>;
}

/** Listens; over TLS where a certificate is given, else in plain HTTP, for the loopback of a pod. */
export async function serveJoinTokens(
  services: JoinTokenServices,
  listen: { readonly host: string; readonly port: number },
  certificate: { readonly cert: string; readonly key: string } | undefined,
): Promise<JoinTokenServer> {
  let underWay = 0;
  const limits = {
    requestTimeout: REQUEST_TIMEOUT,
    headersTimeout: REQUEST_TIMEOUT,
    maxHeaderSize: MAX_HEADERS,
  };
  const handler = (request: IncomingMessage, response: ServerResponse) => {
    request.resume(); // no body is read
    if (underWay >= MAX_UNDER_WAY) return answer(response, 503, 'too many at once: come again');
    underWay++;
    void handle(services, request, response).finally(() => underWay--);
  };
  const server =
    certificate === undefined
      ? createHttp(limits, handler)
      : createHttps({ ...limits, ...certificate, minVersion: 'TLSv1.2' }, handler);
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(listen.port, listen.host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    useCertificate: (renewed) => (server as Server).setSecureContext?.(renewed),
    close: async () => {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, 'close');
    },
  };
}

async function handle(
  { admission, review, issue, told }: JoinTokenServices,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const address = request.socket.remoteAddress ?? '';
  const refuse = (status: number, reason: string) => {
    told({ event: status === 503 ? 'failed' : 'refused', address, reason });
    answer(response, status, reason);
  };
  if (request.url !== JOIN_TOKEN_PATH) return refuse(404, `expected ${JOIN_TOKEN_PATH}`);
  if (request.method !== 'POST') return refuse(405, 'expected POST');
  const token = /^Bearer ([A-Za-z0-9._~+/-]+=*)$/.exec(request.headers.authorization ?? '')?.[1];
  if (token === undefined) return refuse(401, 'expected Authorization: Bearer TOKEN');
  try {
    const identity = await review(token);
    if (identity === undefined) {
      return refuse(401, 'Kubernetes does not vouch for this token and audience');
    }
    const admitted = admit(admission, identity);
    if (!admitted.ok) return refuse(403, admitted.reason);
    const { nodeId: node } = admitted;
    const issued = await issue(node);
    told({ event: issued === null ? 'enrolled_already' : 'issued', address, node });
    const body: JoinTokenAnswer = { node_id: node, token: issued };
    send(response, 200, body);
  } catch (error) {
    const reason = (error as Error).message;
    refuse(503, error instanceof ReviewError ? reason : `no join token: ${reason}`);
  }
}

function answer(response: ServerResponse, status: number, reason: string): void {
  send(response, status, { status, title: reason });
}

function send(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': status === 200 ? 'application/json' : 'application/problem+json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  });
  response.end(text);
}
