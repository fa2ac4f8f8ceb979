import { NODE_ID_PATTERN } from './ids.ts';
import { TOKEN_ID_PATTERN } from './join-token.ts';
import type { Schema } from './schema.ts';

/** Fields that several documents share. */

export const nodeIdField = {
  type: 'string',
  pattern: NODE_ID_PATTERN,
  description: 'a node id: 1 to 63 of a-z, 0-9 and hyphen',
} as const satisfies Schema;

export const tokenIdField = {
  type: 'string',
  pattern: TOKEN_ID_PATTERN,
  description: 'a token id',
} as const satisfies Schema;

/** 32 bytes: 43 base64 characters, the last with two zero bits, and one padding character. */
export const bytes32Field = {
  type: 'string',
  pattern: '^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$',
  description: '32 bytes in base64',
} as const satisfies Schema;

export const bytes64Field = {
  type: 'string',
  pattern: '^[A-Za-z0-9+/]{85}[AQgw]==$',
  description: '64 bytes in base64',
} as const satisfies Schema;

/** Epochs, versions, sequences: integers that JSON and JavaScript carry exactly. */
export const counterField = {
  type: 'integer',
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'an integer from 0 to 2^53-1',
} as const satisfies Schema;

/** Wall clock, ms since 1970, up to the year 9999. */
export const timeField = {
  type: 'integer',
  minimum: 0,
  maximum: 253_402_300_799_999,
  description: 'milliseconds since 1970, an integer',
} as const satisfies Schema;

/** A length of time. */
export const secondsField = {
  type: 'number',
  minimum: 0.1,
  maximum: 86_400,
  description: 'seconds, from 0.1 to 86400',
} as const satisfies Schema;

export const nonceField = {
  type: 'string',
  pattern: '^[A-Za-z0-9_-]{22}$',
  description: '16 bytes in base64url',
} as const satisfies Schema;

const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const IPV4 = `${OCTET}(?:\\.${OCTET}){3}`;

/** An address inside the tunnel. */
export const tunnelAddressField = {
  type: 'string',
  pattern: `^${IPV4}$`,
  description: 'an IPv4 address',
} as const satisfies Schema;

export const tunnelPrefixField = {
  type: 'string',
  pattern: `^${IPV4}/(?:3[0-2]|[12]?[0-9])$`,
  description: 'an IPv4 prefix such as 10.10.0.0/24',
} as const satisfies Schema;

const PORT =
  '(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})';

/** IPv6address of RFC 3986 section 3.2.2, in lower case. */
function ipv6Pattern(): string {
  const group = '[0-9a-f]{1,4}';
  const last32 = `(?:${group}:${group}|${IPV4})`;
  const before = (most: number) => `(?:(?:${group}:){0,${most - 1}}${group})?`;
  const withGap = [1, 2, 3, 4, 5].map((n) => `${before(n)}::(?:${group}:){${5 - n}}${last32}`);
  return [
    `(?:${group}:){6}${last32}`,
    `::(?:${group}:){5}${last32}`,
    ...withGap,
    `${before(6)}::${group}`,
    `${before(7)}::`,
  ].join('|');
}

/** A UDP port, 1 to 65535, as text. */
export const PORT_PATTERN = `^${PORT}$`;

/**
 * Where a node's UDP socket can be reached; names are not resolved by anyone. What it takes,
 * `parseEndpoint` reads, and the other way round but for scopes, which mean something on one
 * machine only, and upper case.
 */
export const ENDPOINT_PATTERN = `^(?:${IPV4}|\\[(?:${ipv6Pattern()})\\]):${PORT}$`;

export const endpointField = {
  type: ['string', 'null'],
  pattern: ENDPOINT_PATTERN,
  description: 'an endpoint such as 192.0.2.1:51820 or [2001:db8::1]:51820, or null',
} as const satisfies Schema;

/** Further places where a node may be besides its endpoint: with that, four. */
export const MAX_CANDIDATES = 3;

export const candidatesField = {
  type: 'array',
  maxItems: MAX_CANDIDATES,
  items: { ...endpointField, type: 'string' },
  description: `up to ${MAX_CANDIDATES} further endpoints`,
} as const satisfies Schema;

export const suiteField = {
  type: 'string',
  pattern: '^[a-z0-9][a-z0-9._-]{0,63}$',
  description: 'a suite name: up to 64 of a-z, 0-9, dot, hyphen and underscore',
} as const satisfies Schema;

/** A machine-readable reason, e.g. `score_below_threshold`. */
export const reasonField = {
  type: 'string',
  pattern: '^[a-z][a-z0-9_]{0,63}$',
  description: 'a reason in lower case with underscores',
} as const satisfies Schema;

export const sentenceField = {
  type: 'string',
  maxLength: 1024,
  description: 'a sentence of at most 1024 characters',
} as const satisfies Schema;

/** Audience of messages to the controller. */
export const TO_CONTROLLER = 'controller';
/** Audience of messages that are the same for all nodes. */
export const TO_MEMBERS = 'members';
