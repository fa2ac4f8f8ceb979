import { zeroize } from './bytes.ts';
import type { CryptoProvider } from './provider.ts';

/** KDF_n of paper 5.4 (HKDF with HMAC-BLAKE2s, empty info): `outputs` keys of 32 bytes. */
export function kdf(
  crypto: CryptoProvider,
  key: Uint8Array,
  input: Uint8Array,
  outputs: 1 | 2 | 3,
): Uint8Array[] {
  const secret = crypto.hmac(key, input);
  const keys: Uint8Array[] = [];
  let previous = new Uint8Array(0) as Uint8Array;
  for (let i = 1; i <= outputs; i++) {
    previous = crypto.hmac(secret, previous, Uint8Array.of(i));
    keys.push(previous);
  }
  zeroize(secret);
  return keys;
}
