import type { Endpoint } from './endpoint.ts';
import type { Prefix } from './prefix.ts';

/** Text forms of addresses, prefixes and endpoints: RFC 4291 section 2.2, RFC 5952, RFC 4007 section 11. */

/** Interface index of a scope that is given by interface name; undefined if there is none. */
export type ScopeOf = (name: string) => number | undefined;

const DECIMAL = /^(?:0|[1-9][0-9]*)$/;
const HEX_GROUP = /^[0-9a-fA-F]{1,4}$/;

/** 4 or 16 bytes, or undefined. No scope, no leading zeros in IPv4 octets. */
export function parseAddress(text: string): Uint8Array | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): Uint8Array | undefined {
  const octets = text.split('.');
  if (octets.length !== 4) return undefined;
  const address = new Uint8Array(4);
  for (const [at, octet] of octets.entries()) {
    if (octet.length > 3 || !DECIMAL.test(octet) || Number(octet) > 255) return undefined;
    address[at] = Number(octet);
  }
  return address;
}

function parseIpv6(text: string): Uint8Array | undefined {
  if (text.length > 45) return undefined;
  const gap = text.indexOf('::');
  if (gap !== -1 && text.indexOf('::', gap + 1) !== -1) return undefined;
  const head = gap === -1 ? text : text.slice(0, gap);
  const tail = gap === -1 ? '' : text.slice(gap + 2);
  const before = parseGroups(head, gap === -1);
  const after = parseGroups(tail, true);
  if (before === undefined || after === undefined) return undefined;
  const bytes = before.length + after.length;
  // '::' stands for at least one group of zeros.
  if (gap === -1 ? bytes !== 16 : bytes > 14) return undefined;
  const address = new Uint8Array(16);
  address.set(before, 0);
  address.set(after, 16 - after.length);
  return address;
}

/** Colon-separated groups; the last may be an IPv4 address if it ends the whole text. */
function parseGroups(text: string, last: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [at, group] of groups.entries()) {
    if (last && at === groups.length - 1 && group.includes('.')) {
      const ipv4 = parseIpv4(group);
      if (ipv4 === undefined) return undefined;
      bytes.push(...ipv4);
    } else {
      if (!HEX_GROUP.test(group)) return undefined;
      const value = Number.parseInt(group, 16);
      bytes.push(value >>> 8, value & 0xff);
    }
  }
  return bytes;
}

/** Of 4 or 16 bytes: dotted decimal, or the form of RFC 5952 with `::ffff:1.2.3.4` for mapped ones. */
export function formatAddress(address: Uint8Array): string {
  if (address.length === 4) return address.join('.');
  if (isIpv4Mapped(address)) return `::ffff:${address.subarray(12).join('.')}`;
  const groups: number[] = [];
  for (let at = 0; at < 16; at += 2) groups.push((address[at]! << 8) | address[at + 1]!);
  const [start, length] = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) return hex.join(':'); // RFC 5952 section 4.2.2
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

function longestZeroRun(groups: readonly number[]): [start: number, length: number] {
  let best: [number, number] = [0, 0];
  let start = 0;
  for (let at = 0; at <= groups.length; at++) {
    if (groups[at] === 0) continue;
    if (at - start > best[1]) best = [start, at - start];
    start = at + 1;
  }
  return best;
}

/** ::ffff:0:0/96, RFC 4291 section 2.5.5.2. */
export function isIpv4Mapped(address: Uint8Array): boolean {
  if (address.length !== 16 || address[10] !== 0xff || address[11] !== 0xff) return false;
  for (let at = 0; at < 10; at++) if (address[at] !== 0) return false;
  return true;
}

/** `address/length`; bits behind the prefix are cleared. Undefined if it is malformed. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/');
  if (slash === -1) return undefined;
  const address = parseAddress(text.slice(0, slash));
  const bits = text.slice(slash + 1);
  if (address === undefined || bits.length > 3 || !DECIMAL.test(bits)) return undefined;
  const length = Number(bits);
  if (length > address.length * 8) return undefined;
  const first = length >>> 3;
  if (first < address.length) {
    address[first]! &= 0xff00 >>> (length & 7);
    address.fill(0, first + 1);
  }
  return { address, length };
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.address)}/${prefix.length}`;
}

const noScopes: ScopeOf = () => undefined;

/**
 * `1.2.3.4:51820`, `[2001:db8::1]:51820`, `[fe80::1%3]:51820`, `[fe80::1%eth0]:51820`. An
 * IPv4-mapped address becomes IPv4: that is where its packets go. Undefined if it is malformed or
 * its port is 0. Scopes by name are known only with `scopeOf`.
 */
export function parseEndpoint(text: string, scopeOf: ScopeOf = noScopes): Endpoint | undefined {
  const parts = /^(?:\[([^[\]%]+)(?:%([^[\]%]+))?\]|([^:[\]%]+)):([1-9][0-9]{0,4})$/.exec(text);
  if (parts === null) return undefined;
  const [, bracketed, scopeText, plain, portText] = parts;
  const port = Number(portText);
  const address = bracketed === undefined ? parseIpv4(plain!) : parseIpv6(bracketed);
  if (address === undefined || port > 65_535) return undefined;
  if (scopeText === undefined) {
    if (isIpv4Mapped(address)) return { family: 4, address: address.slice(12), port, scope: 0 };
    return { family: address.length === 4 ? 4 : 6, address, port, scope: 0 };
  }
  if (isIpv4Mapped(address)) return undefined;
  const scope = parseScope(scopeText, scopeOf);
  return scope === undefined ? undefined : { family: 6, address, port, scope };
}

function parseScope(text: string, scopeOf: ScopeOf): number | undefined {
  if (!/^[0-9]+$/.test(text)) return scopeOf(text);
  const index = Number(text);
  return index <= 0xffff_ffff ? index : undefined;
}

export function formatEndpoint(endpoint: Endpoint): string {
  const address = formatAddress(endpoint.address);
  if (endpoint.family === 4) return `${address}:${endpoint.port}`;
  const scope = endpoint.scope === 0 ? '' : `%${endpoint.scope}`;
  return `[${address}${scope}]:${endpoint.port}`;
}
