import { isIPv4, isIPv6 } from 'node:net';
import type { Endpoint } from '../tunnel/create-tunnel.ts';

/** 4 bytes of a dotted address, or undefined. */
export function parseIpv4(text: string): Uint8Array | undefined {
  if (!isIPv4(text)) return undefined;
  return Uint8Array.from(text.split('.'), Number);
}

/** `192.0.2.1:51820` or `[2001:db8::1]:51820`; undefined if it is neither. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (!match) return undefined;
  const port = Number(match[3]);
  if (port < 1 || port > 65_535) return undefined;
  if (match[2] !== undefined) {
    const address = parseIpv4(match[2]);
    return address && { family: 4, address, port, scope: 0 };
  }
  const address = parseIpv6(match[1]!);
  return address && { family: 6, address, port, scope: 0 };
}

export function formatEndpoint(endpoint: Endpoint): string {
  if (endpoint.family === 4) return `${endpoint.address.join('.')}:${endpoint.port}`;
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) {
    groups.push(((endpoint.address[i]! << 8) | endpoint.address[i + 1]!).toString(16));
  }
  // The URL parser writes the canonical form of RFC 5952.
  return `${new URL(`http://[${groups.join(':')}]/`).hostname}:${endpoint.port}`;
}

function parseIpv6(text: string): Uint8Array | undefined {
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const plain = new URL(`http://[${text}]/`).hostname.slice(1, -1); // no dotted tail any more
  const [head, tail] = plain.split('::') as [string, string | undefined];
  const words = (part: string | undefined) => (part ? part.split(':') : []);
  const left = words(head);
  const right = words(tail);
  const zeros = Array<string>(8 - left.length - right.length).fill('0');
  const bytes = new Uint8Array(16);
  for (const [i, word] of [...left, ...zeros, ...right].entries()) {
    const value = Number.parseInt(word, 16);
    bytes[2 * i] = value >> 8;
    bytes[2 * i + 1] = value & 0xff;
  }
  return bytes;
}
