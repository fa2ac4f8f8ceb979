import { parseAddress } from '../wire/address-text.ts';

/**
 * What stands for all addresses of one party: an IPv4 address, or the /64 of an IPv6 address, since
 * whoever has one of those has them all (RFC 6177). IPv4 in IPv6 form is IPv4.
 */
export function networkOf(address: string): string {
  const text = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  const bytes = text.includes(':') ? parseAddress(text) : undefined;
  if (bytes?.length !== 16) return text;
  return `${Buffer.from(bytes.subarray(0, 8)).toString('hex')}/64`;
}
