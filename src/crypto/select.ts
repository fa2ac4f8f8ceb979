import { nobleProvider } from './noble.ts';
import { isNodeProviderAvailable, nodeProvider } from './node.ts';
import type { CryptoProvider } from './provider.ts';

/**
 * node:crypto where it is complete, else noble. `MESH_CRYPTO=noble` forces the pure path, for
 * platforms without OpenSSL's ciphers and for checking one against the other.
 */
export function defaultProvider(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): CryptoProvider {
  const wanted = environment.MESH_CRYPTO;
  if (wanted !== undefined && wanted !== '' && wanted !== 'noble' && wanted !== 'node') {
    throw new RangeError(`MESH_CRYPTO is ${JSON.stringify(wanted)}; expected "noble" or "node"`);
  }
  if (wanted === 'noble') return nobleProvider;
  if (isNodeProviderAvailable()) return nodeProvider;
  if (wanted === 'node') throw new Error('MESH_CRYPTO=node: this Node lacks BLAKE2s or X25519');
  return nobleProvider;
}
