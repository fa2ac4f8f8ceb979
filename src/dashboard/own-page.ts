import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { FastifyRequest } from 'fastify';

/**
 * Whether a `Host` header names whom a certificate is for. A page in somebody's browser can have a name of
 * its own point here and read what it gets (DNS rebinding), but not one of these.
 */
export function isNamedIn(certificate: X509Certificate, host: string | undefined): boolean {
  const url = URL.parse(`https://${host ?? ''}/`);
  if (url === null || url.host !== host?.toLowerCase().replace(/:443$/, '')) return false;
  const name = url.hostname.replace(/^\[|\]$/g, '');
  const found = isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name);
  return found !== undefined;
}

/**
 * Whether a request that changes something was made by the page that is served here, and by no other
 * (CSRF): browsers say which page asks, and a page cannot say it for them. Its Host was looked at before.
 */
export function isFromOwnPage({ headers, protocol }: FastifyRequest): boolean {
  const { origin, host, 'sec-fetch-site': site } = headers;
  return origin === `${protocol}://${host}` && (site === undefined || site === 'same-origin');
}

/**
 * Whether another page asks for it, as far as browsers say so. It could not read the answer, but make us
 * work for it.
 */
export function isFromOtherPage({ headers }: FastifyRequest): boolean {
  const { 'sec-fetch-site': site } = headers;
  return site !== undefined && site !== 'same-origin' && site !== 'none';
}
