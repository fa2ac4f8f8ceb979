import type { CryptoProvider } from '../crypto/provider.ts';
import { isCanonicalX25519 } from '../crypto/x25519-keys.ts';

const ONE = new Uint8Array(32).fill(1);
const P = 2n ** 255n - 19n;

/**
 * y-coordinates of the Ed25519 points whose order divides 8 (RFC 8032 curve): a signature "by" such
 * a key can be made without any private key.
 */
const SMALL_ORDER_Y: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  P - 1n,
  // Order 8: two values of y, each with both signs of x.
  2707385501144840649318225287225658788936804267575313519463743609750303402022n,
  55188659117513257062467267217118295137698188065244968500265048394206261417927n,
]);

/**
 * False for aliases, so that no key is another one's too, and for points of small order (RFC 7748
 * section 6.1), whose shared secrets are all zero.
 */
export function isAcceptableX25519(crypto: CryptoProvider, publicKey: Uint8Array): boolean {
  return isCanonicalX25519(publicKey) && crypto.x25519(ONE, publicKey) !== undefined;
}

/** False for non-canonical encodings (y >= p) and points of small order. */
export function isAcceptableEd25519(publicKey: Uint8Array): boolean {
  let y = 0n;
  for (let i = 31; i >= 0; i--) y = (y << 8n) | BigInt(publicKey[i]!);
  y &= 2n ** 255n - 1n; // the top bit is the sign of x
  return y < P && !SMALL_ORDER_Y.has(y);
}
