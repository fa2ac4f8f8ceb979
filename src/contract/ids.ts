import type { CryptoProvider } from '../crypto/provider.ts';

/** A node id: lower-case letters, digits and hyphens, 1 to 63 of them (fits one DNS label). */
export const NODE_ID_PATTERN = '^[a-z0-9-]{1,63}$';
const NODE_ID = new RegExp(NODE_ID_PATTERN);

export function isNodeId(value: unknown): value is string {
  return typeof value === 'string' && NODE_ID.test(value);
}

/**
 * The node id that a machine has if nobody says otherwise: the first label of its name, in lower case,
 * hyphens for what a node id does not have. Undefined if nothing is left.
 */
export function nodeIdOfMachine(name: string): string | undefined {
  const id = name
    .split('.')[0]!
    .toLowerCase()
    .replace(/[^a-z0-9-]/g, '-')
    .slice(0, 63);
  return isNodeId(id) ? id : undefined;
}

/** Byte order. Ids are ASCII, so comparing UTF-16 code units is the same; never localeCompare. */
export function compareNodeIds(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const FINGERPRINT_LABEL = new TextEncoder().encode('aligned-meshnet controller key v1\0');

/**
 * SHA-256 fingerprint (32 bytes) of the controller's Ed25519 public key. It is also the mesh id:
 * a mesh is named by the key that governs it, so a token that carries the fingerprint tells a new
 * node everything it must know before its first request.
 */
export function controllerFingerprint(
  crypto: Pick<CryptoProvider, 'sha256'>,
  publicKey: Uint8Array,
): Uint8Array {
  return crypto.sha256(FINGERPRINT_LABEL, publicKey);
}

const KEY_ID_LABEL = new TextEncoder().encode('aligned-meshnet signing key v1\0');

/** `keyid` of an Ed25519 public key in envelopes and HTTP signatures: a hint, never a proof. */
export function signingKeyId(crypto: CryptoProvider, publicKey: Uint8Array): string {
  return Buffer.from(crypto.sha256(KEY_ID_LABEL, publicKey).subarray(0, 16)).toString('base64url');
}
