import { TLSSocket } from 'node:tls';
import type { FastifyRequest } from 'fastify';
import { accessNameField, isAccessName } from '../../contract/access.ts';
import { splitTarget } from '../../contract/http-signature.ts';
import { isLoopbackHost } from '../../contract/loopback-host.ts';
import type {
  Arrival,
  ClientCertificate,
  NetworkCaller,
  NetworkRequest,
} from '../operations/caller.ts';

const PROXY_HEADERS = ['forwarded', 'via', 'x-forwarded-for', 'x-real-ip'];

/** `from`: behind a proxy, who called there. */
export function arrivalOf({ ip, socket }: FastifyRequest): Arrival {
  const { localAddress = '', localPort = 0 } = socket;
  return { from: ip ?? '', to: { address: localAddress, port: localPort } };
}

const requests = new WeakMap<FastifyRequest, NetworkRequest>();

/** The same whenever it is asked for: what is found out about it is remembered. */
export function networkRequest(request: FastifyRequest): NetworkRequest {
  const known = requests.get(request);
  if (known !== undefined) return known;
  const made = {
    method: request.method,
    authority: (request.headers.host ?? '').toLowerCase(),
    ...splitTarget(request.url),
    headers: request.headers,
    arrival: arrivalOf(request),
  };
  requests.set(request, made);
  return made;
}

/** Behind a proxy, which says by X-Forwarded-Proto how it was called. */
export function networkCaller(request: FastifyRequest): NetworkCaller {
  const isLocal = isFromHere(request);
  const isPrivate = isLocal || request.protocol === 'https';
  const certificate = certificateOf(request);
  return { kind: 'network', isLocal, isPrivate, certificate, request: networkRequest(request) };
}

/** TLS has verified it by the authority of clients, or it has a fault. */
function certificateOf({ socket }: FastifyRequest): ClientCertificate | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const shown = socket.getPeerX509Certificate();
  if (shown === undefined) return undefined;
  if (!socket.authorized) return { fault: String(socket.authorizationError) };
  const { CN: name } = shown.toLegacyObject().subject;
  if (!isAccessName(name))
    return { fault: `its common name is not ${accessNameField.description}` };
  return { name, until: shown.validToDate.getTime() };
}

/** A caller on this machine that asks for itself: no proxy, no page of some other site. */
function isFromHere({ ip, headers }: FastifyRequest): boolean {
  const address = ip ?? '';
  if (address !== '::1' && !/^(?:::ffff:)?127\./.test(address)) return false;
  if (PROXY_HEADERS.some((name) => headers[name] !== undefined)) return false;
  return isLoopbackHost(headers.host);
}
