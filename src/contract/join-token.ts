import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { fromBase64Url, toBase64Url } from './encoding.ts';

/**
 * `id.secret.fingerprint`, each base64url: who vouches for the node (the id names the token at the
 * controller, the secret proves it without being sent) and whom the node may believe (the
 * fingerprint of the controller's key, which is the mesh id).
 */
export interface JoinToken {
  /** 9 bytes as 12 characters. */
  readonly id: string;
  /** 32 bytes. */
  readonly secret: Uint8Array;
  /** 32 bytes. */
  readonly fingerprint: Uint8Array;
}

export const TOKEN_ID_PATTERN = '^[A-Za-z0-9_-]{12}$';
const TOKEN_ID = new RegExp(TOKEN_ID_PATTERN);

export function createJoinToken(random: RandomBytes, fingerprint: Uint8Array): JoinToken {
  return { id: toBase64Url(random(9)), secret: random(32), fingerprint };
}

export function formatJoinToken(token: JoinToken): string {
  return `${token.id}.${toBase64Url(token.secret)}.${toBase64Url(token.fingerprint)}`;
}

/** Undefined unless `text` is a join token. */
export function parseJoinToken(text: string): JoinToken | undefined {
  const [id, secretText, fingerprintText, ...rest] = text.trim().split('.');
  if (id === undefined || !TOKEN_ID.test(id) || rest.length > 0) return undefined;
  const secret = fromBase64Url(secretText ?? '', 32);
  const fingerprint = fromBase64Url(fingerprintText ?? '', 32);
  return secret && fingerprint ? { id, secret, fingerprint } : undefined;
}

const PROOF_LABEL = new TextEncoder().encode('aligned-meshnet join proof v1\0');

/**
 * HMAC-SHA256 under the token's secret over everything the node says when it joins (the signed
 * bytes of its request: `preAuthEncoding` of the enrolment envelope).
 */
export function joinProof(
  crypto: CryptoProvider,
  secret: Uint8Array,
  signedBytes: Uint8Array,
): Uint8Array {
  return crypto.hmacSha256(secret, PROOF_LABEL, signedBytes);
}
