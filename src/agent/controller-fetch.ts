import { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { isIP } from 'node:net';
import { Readable } from 'node:stream';
import { connect, type TLSSocket } from 'node:tls';
import { equalBytes, fromBase64Url } from '../contract/encoding.ts';
import { controllerFingerprint } from '../contract/ids.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { Fetch } from './http-calls.ts';

/** Longest time (ms) that a connection takes to come about, TLS included. */
const CONNECT_TIMEOUT = 10_000;

export interface ClientIdentity {
  readonly cert: string;
  readonly key: string;
}

/**
 * `fetch`, for a controller. Over TLS its certificate must be one that this machine trusts for that
 * name, or one that the mesh's own key has signed: whoever knows the mesh id needs no authority, no name
 * and no clock to know whom it talks to. Nothing is sent before that is settled.
 *
 * @param identity a certificate that is shown to it, PEM, and its private key
 */
export function controllerFetch(crypto: CryptoProvider, identity?: ClientIdentity): Fetch {
  const agents = new Map<string, Agent>();
  return (url, init, meshId) => {
    if (meshId === undefined || !url.startsWith('https:')) return fetch(url, init);
    const name = Buffer.from(meshId).toString('base64url');
    const agent = agents.get(name) ?? meshAgent(crypto, meshId, identity);
    agents.set(name, agent);
    return overTls(url, init, agent);
  };
}

function meshAgent(
  crypto: CryptoProvider,
  meshId: Uint8Array,
  identity: ClientIdentity | undefined,
): Agent {
  const agent = new Agent({ keepAlive: true, maxCachedSessions: 0 });
  agent.createConnection = (options, settle) => {
    const { host = '', port } = options as { host?: string; port?: number };
    const socket = connect({
      host,
      port: Number(port),
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...identity,
      rejectUnauthorized: false, // looked at below
    });
    const refuse = (reason: string) => socket.destroy(new Error(reason));
    socket.setTimeout(CONNECT_TIMEOUT, () => refuse('no connection in time'));
    socket.once('error', (error) => settle?.(error, undefined as never));
    socket.once('secureConnect', () => {
      if (!socket.authorized && !isOfMesh(crypto, meshId, socket)) {
        const why = String(socket.authorizationError);
        return refuse(`its certificate is not of this mesh, nor trusted here (${why})`);
      }
      socket.setTimeout(0);
      settle?.(null, socket);
    });
    return undefined;
  };
  return agent;
}

/** Whether what the other end presents is signed by the key that this mesh is named by. */
function isOfMesh(crypto: CryptoProvider, meshId: Uint8Array, socket: TLSSocket): boolean {
  const { raw, issuerCertificate } = socket.getPeerCertificate(true);
  if (raw === undefined || issuerCertificate?.raw === undefined) return false;
  const { publicKey } = new X509Certificate(issuerCertificate.raw);
  if (publicKey.asymmetricKeyType !== 'ed25519') return false;
  const key = fromBase64Url(publicKey.export({ format: 'jwk' }).x ?? '', 32);
  if (key === undefined || !equalBytes(controllerFingerprint(crypto, key), meshId)) return false;
  return new X509Certificate(raw).verify(publicKey);
}

/** Statuses whose answers have no body (Fetch standard). */
const BODILESS = new Set([204, 205, 304]);

function overTls(url: string, init: RequestInit, agent: Agent): Promise<Response> {
  const { method = 'GET', headers, body, signal } = init;
  return new Promise((resolve, reject) => {
    const call = request(url, {
      method,
      agent,
      headers: headers as Record<string, string>,
      ...(signal ? { signal } : {}),
    });
    call.on('error', reject);
    call.on('response', (message) => resolve(responseOf(message)));
    call.end(body as string | undefined);
  });
}

/** What arrived, as `fetch` gives it. */
export function responseOf(message: IncomingMessage): Response {
  const status = message.statusCode ?? 0;
  const headers = new Headers();
  for (const [name, value] of Object.entries(message.headersDistinct)) {
    for (const one of value ?? []) headers.append(name, one);
  }
  if (!BODILESS.has(status)) {
    return new Response(Readable.toWeb(message) as ReadableStream<Uint8Array>, { status, headers });
  }
  message.resume();
  return new Response(null, { status, headers });
}
