import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  getHashes,
  hash,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import { concatBytes, constantTimeEqual, counterNonce, isZero } from './bytes.ts';
import { Ed25519Batch, MOST_CHECKS } from './ed25519-batch.ts';
import { isAcceptableEd25519Key, nobleProvider } from './noble.ts';
import type { CryptoProvider, Ed25519Check, X25519PrivateKey } from './provider.ts';
import { type Blake2s, createBlake2s } from './wasm/blake2s.ts';

const NONE = new Uint8Array(0);

/** The same bytes as a plain Uint8Array: Buffer's `slice` shares memory where Uint8Array's copies. */
const plain = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const raw = (key: KeyObject): Uint8Array => plain(key.export({ format: 'raw-public' }));

const privateKeyOf = (type: 'x25519' | 'ed25519', bytes: Uint8Array): KeyObject =>
  createPrivateKey({ key: bytes, format: 'raw-private', asymmetricKeyType: type });

const publicKeyOf = (type: 'x25519' | 'ed25519', bytes: Uint8Array): KeyObject =>
  createPublicKey({ key: bytes, format: 'raw-public', asymmetricKeyType: type });

/** Checking a key takes as long as checking a signature, and the same keys sign again and again. */
const MOST_VERIFIERS = 16_384;
const verifiers = new Map<string, KeyObject>();

/** Undefined: not one that signatures are to be verified with. */
function verifierOf(publicKey: Uint8Array): KeyObject | undefined {
  const name = Buffer.from(publicKey).toString('latin1');
  const known = verifiers.get(name);
  if (known !== undefined) return known;
  if (!isAcceptableEd25519Key(publicKey)) return undefined;
  const key = publicKeyOf('ed25519', publicKey);
  if (verifiers.size === MOST_VERIFIERS) verifiers.delete(verifiers.keys().next().value!);
  verifiers.set(name, key);
  return key;
}

function agree(privateKey: KeyObject, publicKey: Uint8Array): Uint8Array | undefined {
  try {
    const shared = diffieHellman({ privateKey, publicKey: publicKeyOf('x25519', publicKey) });
    return isZero(shared) ? undefined : plain(shared);
  } catch {
    return undefined; // OpenSSL fails the derivation for small-order points
  }
}

function seal(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  ad: Uint8Array,
): Uint8Array {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
  cipher.setAAD(ad, { plaintextLength: plaintext.length });
  const body = cipher.update(plaintext);
  cipher.final();
  return concatBytes(body, cipher.getAuthTag());
}

function open(
  key: Uint8Array,
  nonce: Uint8Array,
  ciphertext: Uint8Array,
  ad: Uint8Array,
): Uint8Array | undefined {
  const length = ciphertext.length - 16;
  if (length < 0) return undefined;
  const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
  decipher.setAAD(ad, { plaintextLength: length });
  decipher.setAuthTag(ciphertext.subarray(length));
  const plaintext = decipher.update(ciphertext.subarray(0, length));
  try {
    decipher.final();
  } catch {
    plaintext.fill(0);
    return undefined;
  }
  return plain(plaintext);
}

const opensslBlake2s: Blake2s = {
  hash(...parts) {
    const whole = parts.length === 1 ? parts[0]! : concatBytes(...parts);
    return plain(hash('blake2s256', whole, 'buffer'));
  },
  hmac(key, ...parts) {
    const state = createHmac('blake2s256', key);
    for (const part of parts) state.update(part);
    return plain(state.digest());
  },
  mac: nobleProvider.mac, // OpenSSL has no keyed BLAKE2s of 16 bytes here
};

let selected: Blake2s | undefined;

/** Our WebAssembly BLAKE2s (five times faster than a call into OpenSSL) if it works here. */
function blake2s(): Blake2s {
  selected ??= working(createBlake2s) ?? opensslBlake2s;
  return selected;
}

/** Undefined unless it agrees with the reference on one input of each kind. */
function working(create: () => Blake2s): Blake2s | undefined {
  const key = new Uint8Array(32).fill(1);
  const input = new Uint8Array(100).fill(2);
  try {
    const made = create();
    const agrees =
      constantTimeEqual(made.hash(input), nobleProvider.hash(input)) &&
      constantTimeEqual(made.hmac(key, input), nobleProvider.hmac(key, input)) &&
      constantTimeEqual(made.mac(key, input), nobleProvider.mac(key, input));
    return agrees ? made : undefined;
  } catch {
    return undefined; // no WebAssembly, or no shared memory
  }
}

/** With fewer, the sums of a batch take longer than one by one. */
const FEWEST_CHECKS = 64;

let selectedBatch: Ed25519Batch | null | undefined;

/** Five times faster than OpenSSL, signature for signature; null if it does not work here. */
function batch(): Ed25519Batch | null {
  if (selectedBatch === undefined) selectedBatch = workingBatch();
  return selectedBatch;
}

/** Null unless it tells what verifies from what does not. */
function workingBatch(): Ed25519Batch | null {
  const seed = new Uint8Array(32).fill(1);
  const message = new Uint8Array(32).fill(2);
  const publicKey = nodeProvider.ed25519Public(seed);
  const signature = nodeProvider.ed25519Sign(seed, message);
  const good = { publicKey, message, signature };
  try {
    const made = new Ed25519Batch({
      random: (length) => randomBytes(length),
      sha512: (...parts) => hash('sha512', concatBytes(...parts), 'buffer'),
      isAcceptable: isAcceptableEd25519Key,
    });
    return made.verify([good, good]) && !made.verify([good, { ...good, message: seed }])
      ? made
      : null;
  } catch {
    return null; // no WebAssembly, or no shared memory
  }
}

function verifies({ publicKey, message, signature }: Ed25519Check): boolean {
  return nodeProvider.ed25519Verify(publicKey, message, signature);
}

const SHA256_LENGTH = 32;
const short = new Uint8Array(4096);

/**
 * A Merkle tree is a hundred thousand short hashes. In one call, and with the result as text, whose memory
 * costs less than a Buffer's, each takes half the time.
 */
function sha256(...parts: Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  if (length > short.length) {
    const state = createHash('sha256');
    for (const part of parts) state.update(part);
    return plain(state.digest());
  }
  length = 0;
  for (const part of parts) {
    short.set(part, length);
    length += part.length;
  }
  const text = hash('sha256', short.subarray(0, length), 'latin1');
  short.fill(0, 0, length); // it may have been a secret
  const digest = new Uint8Array(SHA256_LENGTH);
  for (let i = 0; i < SHA256_LENGTH; i++) digest[i] = text.charCodeAt(i);
  return digest;
}

/**
 * OpenSSL through node:crypto where it has the primitive and is faster. BLAKE2s is our own in
 * WebAssembly; XChaCha20 exists only in noble and comes from there.
 */
export const nodeProvider: CryptoProvider = {
  name: 'node',

  x25519Public: (privateKey) => raw(createPublicKey(privateKeyOf('x25519', privateKey))),
  x25519: (privateKey, publicKey) => agree(privateKeyOf('x25519', privateKey), publicKey),
  x25519PrivateKey(privateKey): X25519PrivateKey {
    let own: KeyObject | undefined = privateKeyOf('x25519', privateKey);
    return {
      publicKey: raw(createPublicKey(own)),
      agree: (publicKey) => own && agree(own, publicKey),
      zeroize() {
        own = undefined; // OpenSSL wipes it when it is collected
      },
    };
  },

  hash: (...parts) => blake2s().hash(...parts),
  hmac: (key, ...parts) => blake2s().hmac(key, ...parts),
  mac: (key, ...parts) => blake2s().mac(key, ...parts),

  aeadSeal: (key, counter, plaintext, ad) => seal(key, counterNonce(counter), plaintext, ad),
  aeadOpen: (key, counter, ciphertext, ad) => open(key, counterNonce(counter), ciphertext, ad),
  xaeadSeal: nobleProvider.xaeadSeal,
  xaeadOpen: nobleProvider.xaeadOpen,

  ed25519Public: (seed) => raw(createPublicKey(privateKeyOf('ed25519', seed))),
  ed25519Sign: (seed, message) => plain(sign(null, message, privateKeyOf('ed25519', seed))),
  ed25519Verify(publicKey, message, signature) {
    const key = signature.length === 64 ? verifierOf(publicKey) : undefined;
    return key !== undefined && verify(null, message, key, signature);
  },
  ed25519VerifyEach(checks) {
    const verified: boolean[] = [];
    while (verified.length < checks.length) {
      const some = checks.slice(verified.length, verified.length + MOST_CHECKS);
      const areAll = some.length >= FEWEST_CHECKS && batch()?.verify(some) === true;
      verified.push(...(areAll ? some.map(() => true) : some.map(verifies)));
    }
    return verified;
  },

  sha256,
  hmacSha256(key, ...parts) {
    const state = createHmac('sha256', key);
    for (const part of parts) state.update(part);
    return plain(state.digest());
  },
};

/** Whether this Node's OpenSSL has all that the provider takes from it. */
export function isNodeProviderAvailable(): boolean {
  if (!getHashes().includes('blake2s256')) return false;
  try {
    seal(new Uint8Array(32), new Uint8Array(12), NONE, NONE);
    nodeProvider.x25519Public(new Uint8Array(32).fill(1));
    return true;
  } catch {
    return false;
  }
}
