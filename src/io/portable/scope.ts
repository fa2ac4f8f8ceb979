import { networkInterfaces } from 'node:os';

/** Index of a local interface that has a link-local address (RFC 4007 section 11.2). */
export function scopeOf(interfaceName: string): number | undefined {
  return networkInterfaces()[interfaceName]?.find(
    (address) => address.family === 'IPv6' && address.scopeid !== 0,
  )?.scopeid;
}
