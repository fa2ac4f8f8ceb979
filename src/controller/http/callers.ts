import type { FastifyRequest } from 'fastify';
import { splitTarget } from '../../contract/http-signature.ts';
import { isLoopbackHost } from '../../contract/loopback-host.ts';
import type { Arrival, NetworkCaller, NetworkRequest } from '../operations/caller.ts';

const PROXY_HEADERS = ['forwarded', 'via', 'x-forwarded-for', 'x-real-ip'];

/** `from`: behind a proxy, who called there. */
export function arrivalOf({ ip, socket }: FastifyRequest): Arrival {
  const { localAddress = '', localPort = 0 } = socket;
  return { from: ip ?? '', to: { address: localAddress, port: localPort } };
}

export function networkRequest(request: FastifyRequest): NetworkRequest {
  return {
    method: request.method,
    authority: (request.headers.host ?? '').toLowerCase(),
    ...splitTarget(request.url),
    headers: request.headers,
    arrival: arrivalOf(request),
  };
}

/** Behind a proxy, which says by X-Forwarded-Proto how it was called. */
export function networkCaller(request: FastifyRequest): NetworkCaller {
  const isLocal = isFromHere(request);
  const isPrivate = isLocal || request.protocol === 'https';
  return { kind: 'network', isLocal, isPrivate, request: networkRequest(request) };
}

/** A caller on this machine that asks for itself: no proxy, no page of some other site. */
function isFromHere({ ip, headers }: FastifyRequest): boolean {
  const address = ip ?? '';
  if (address !== '::1' && !/^(?:::ffff:)?127\./.test(address)) return false;
  if (PROXY_HEADERS.some((name) => headers[name] !== undefined)) return false;
  return isLoopbackHost(headers.host);
}
