import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { fromBase64Url, toBase64Url } from './encoding.ts';
import { timeField, tokenIdField } from './fields.ts';
import { exactly, type FromSchema } from './from-schema.ts';
import { TOKEN_ID_PATTERN } from './join-token.ts';
import type { Schema } from './schema.ts';

/**
 * What the holder of an access token or of a client certificate may do, each role all that those before it may. `view`: read what
 * is no secret. `operate`: end epochs, make and withdraw join tokens, remove nodes. `admin`: say by which
 * policy the mesh is judged, and who has access.
 */
export const ROLES = ['view', 'operate', 'admin'] as const;

export type Role = (typeof ROLES)[number];

/** Whether a holder of `role` may do what asks for `needed`. */
export function isAtLeast(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

/** How people and records name a token. */
export const accessNameField = {
  type: 'string',
  pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
  description: 'a name: 1 to 63 of a-z, 0-9 and hyphen',
} as const satisfies Schema;

/** What the name of a client certificate has before it where it could be taken for that of an access token. */
export const CERTIFICATE = 'certificate:';

/** Who asked, in the record: an access token, or a client certificate. */
export const actorField = {
  type: 'string',
  pattern: '^(?:certificate:)?[a-z0-9][a-z0-9-]{0,62}$',
  description: 'the name of an access token, or certificate: and the name of a client certificate',
} as const satisfies Schema;

const ACCESS_NAME = new RegExp(accessNameField.pattern);

/** Whether people and records can name somebody so. */
export function isAccessName(text: unknown): text is string {
  return typeof text === 'string' && ACCESS_NAME.test(text);
}

const roleField = { type: 'string', enum: ROLES } as const satisfies Schema;

const expiryField = { ...timeField, type: ['integer', 'null'] } as const satisfies Schema;

/**
 * Calls about access, for the role `admin`:
 *
 *   POST   /v1/access       AccessRequest  -> AccessAnswer (the only time the token is shown)
 *   GET    /v1/access                      -> AccessList
 *   DELETE /v1/access/{id}                 -> 204
 *   GET    /v1/whoami                      -> AccessSelf, for any role
 */
export const accessRequestSchema = exactly({
  name: accessNameField,
  role: roleField,
  /** Null: until it is revoked. */
  ttl_s: {
    type: ['integer', 'null'],
    minimum: 1,
    maximum: 31_536_000,
    description: 'seconds, an integer from 1 to 31536000 (a year), or null',
  },
});

export type AccessRequest = FromSchema<typeof accessRequestSchema>;

const accessSchema = exactly({
  id: tokenIdField,
  name: accessNameField,
  role: roleField,
  created_at: timeField,
  expires_at: expiryField,
});

export const accessAnswerSchema = exactly({
  /** See `formatAccessToken`. */
  token: { type: 'string' },
  ...accessSchema.properties,
});

export type AccessAnswer = FromSchema<typeof accessAnswerSchema>;

export const accessListSchema = exactly({ tokens: { type: 'array', items: accessSchema } });

export type AccessList = FromSchema<typeof accessListSchema>;

/** Who the caller is taken for; without a name: whoever may open the admin socket. */
export const accessSelfSchema = exactly({
  name: { ...actorField, type: ['string', 'null'] },
  role: roleField,
});

export type AccessSelf = FromSchema<typeof accessSelfSchema>;

/**
 * A secret that its holder shows with each call, over TLS, and the mesh whose controller may be shown it.
 * `access.id.secret.fingerprint`: no join token, and found by whoever looks for leaked secrets.
 */
export interface AccessToken {
  /** 9 bytes as 12 characters. */
  readonly id: string;
  /** 32 bytes. The controller keeps its hash alone. */
  readonly secret: Uint8Array;
  /** 32 bytes: the mesh id. */
  readonly fingerprint: Uint8Array;
}

const KIND = 'access';
const TOKEN_ID = new RegExp(TOKEN_ID_PATTERN);

export function createAccessToken(random: RandomBytes, fingerprint: Uint8Array): AccessToken {
  return { id: toBase64Url(random(9)), secret: random(32), fingerprint };
}

export function formatAccessToken({ id, secret, fingerprint }: AccessToken): string {
  return `${KIND}.${id}.${toBase64Url(secret)}.${toBase64Url(fingerprint)}`;
}

/** Undefined unless `text` is an access token. */
export function parseAccessToken(text: string): AccessToken | undefined {
  const [kind, id, secretText, fingerprintText, ...rest] = text.trim().split('.');
  if (kind !== KIND || id === undefined || !TOKEN_ID.test(id) || rest.length > 0) return undefined;
  const secret = fromBase64Url(secretText ?? '', 32);
  const fingerprint = fromBase64Url(fingerprintText ?? '', 32);
  return secret && fingerprint ? { id, secret, fingerprint } : undefined;
}

/** What is kept of a secret of 32 random bytes: nobody guesses those, so a plain hash will do. */
export function accessHash(crypto: CryptoProvider, secret: Uint8Array): Uint8Array {
  return crypto.sha256(secret);
}
