import { createRequire } from 'node:module';
import { chacha20poly1305, xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { blake2s } from '@noble/hashes/blake2.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes, copyBytes, counterNonce, isZero, zeroize } from './bytes.ts';
import type { CryptoProvider, X25519PrivateKey } from './provider.ts';

type Curves = typeof import('@noble/curves/ed25519.js');

let loaded: Curves | undefined;

/** Loaded at the first use: that takes a quarter of a start, and who has OpenSSL's X25519 needs them late or never. */
function curves(): Curves {
  loaded ??= createRequire(import.meta.url)('@noble/curves/ed25519.js') as Curves;
  return loaded;
}

type Cipher = { encrypt(data: Uint8Array): Uint8Array; decrypt(data: Uint8Array): Uint8Array };

/** noble reports a wrong tag by throwing; here it is a value. */
function open(cipher: Cipher, ciphertext: Uint8Array): Uint8Array | undefined {
  if (ciphertext.length < 16) return undefined;
  try {
    return cipher.decrypt(ciphertext);
  } catch {
    return undefined;
  }
}

function agree(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  try {
    const shared = curves().x25519.getSharedSecret(privateKey, publicKey);
    return isZero(shared) ? undefined : shared;
  } catch {
    return undefined; // noble refuses an all-zero result itself
  }
}

/** Strict point rules (no small order, canonical encoding), shared by all providers. */
export function isAcceptableEd25519Key(publicKey: Uint8Array): boolean {
  try {
    return !curves().ed25519.Point.fromBytes(publicKey, false).isSmallOrder();
  } catch {
    return false;
  }
}

/** Pure JavaScript: the reference, complete on its own, on any platform. */
export const nobleProvider: CryptoProvider = {
  name: 'noble',

  x25519Public: (privateKey) => curves().x25519.getPublicKey(privateKey),
  x25519: agree,
  x25519PrivateKey(privateKey): X25519PrivateKey {
    const own = copyBytes(privateKey);
    let isOpen = true;
    return {
      publicKey: curves().x25519.getPublicKey(own),
      agree: (publicKey) => (isOpen ? agree(own, publicKey) : undefined),
      zeroize() {
        isOpen = false;
        zeroize(own);
      },
    };
  },

  hash: (...parts) => blake2s(parts.length === 1 ? parts[0]! : concatBytes(...parts)),
  hmac(key, ...parts) {
    const state = hmac.create(blake2s, key);
    for (const part of parts) state.update(part);
    return state.digest();
  },
  mac(key, ...parts) {
    const state = blake2s.create({ key, dkLen: 16 });
    for (const part of parts) state.update(part);
    return state.digest();
  },

  aeadSeal: (key, counter, plaintext, ad) =>
    chacha20poly1305(key, counterNonce(counter), ad).encrypt(plaintext),
  aeadOpen: (key, counter, ciphertext, ad) =>
    open(chacha20poly1305(key, counterNonce(counter), ad), ciphertext),
  xaeadSeal: (key, nonce, plaintext, ad) => xchacha20poly1305(key, nonce, ad).encrypt(plaintext),
  xaeadOpen: (key, nonce, ciphertext, ad) => open(xchacha20poly1305(key, nonce, ad), ciphertext),

  ed25519Public: (seed) => curves().ed25519.getPublicKey(seed),
  ed25519Sign: (seed, message) => curves().ed25519.sign(message, seed),
  ed25519Verify(publicKey, message, signature) {
    if (signature.length !== 64 || !isAcceptableEd25519Key(publicKey)) return false;
    return curves().ed25519.verify(signature, message, publicKey, { zip215: false });
  },

  ed25519VerifyEach: (checks) =>
    checks.map((one) => nobleProvider.ed25519Verify(one.publicKey, one.message, one.signature)),

  sha256: (...parts) => sha256(concatBytes(...parts)),
  hmacSha256(key, ...parts) {
    const state = hmac.create(sha256, key);
    for (const part of parts) state.update(part);
    return state.digest();
  },
};
