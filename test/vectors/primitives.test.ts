import { createCipheriv, createDecipheriv } from 'node:crypto';
import { chacha20, chacha20poly1305, hchacha } from '@noble/ciphers/chacha.js';
import { describe, expect, test } from 'vitest';
import { concatBytes } from '../../src/crypto/bytes.ts';
import { kdf } from '../../src/crypto/kdf.ts';
import { nobleProvider } from '../../src/crypto/noble.ts';
import { nodeProvider } from '../../src/crypto/node.ts';
import { fromHex, readVectors, toHex } from '../lab/vectors.ts';

interface X25519File {
  scalar_multiplication: { scalar: string; u: string; output: string }[];
  iterated: { start: string; after: Record<string, string> };
  diffie_hellman: Record<
    'alice_private' | 'alice_public' | 'bob_private' | 'bob_public' | 'shared',
    string
  >;
  small_order: { points: string[] };
}
interface AeadVector {
  key: string;
  nonce: string;
  ad: string;
  plaintext: string;
  ciphertext: string;
  tag: string;
}
interface ChachaFile {
  chacha20_block: { key: string; nonce: string; counter: number; output: string }[];
  chacha20: {
    key: string;
    nonce: string;
    counter: number;
    plaintext: string;
    ciphertext: string;
  }[];
  poly1305: { section: string; key: string; message: string; tag: string }[];
  aead: (AeadVector & { section: string })[];
}
interface XchachaFile {
  hchacha20: { key: string; nonce: string; output: string }[];
  aead: AeadVector[];
}
interface BlakeFile {
  hash: { input: string; output: string }[];
}
interface MacVector {
  key: string;
  input: string;
  output: string;
}
interface KdfFile {
  hash: { input: string; output: string }[];
  mac: MacVector[];
  hmac: MacVector[];
  kdf: { key: string; input: string; outputs: string[] }[];
}
interface Ed25519File {
  signatures: {
    name: string;
    seed: string;
    public_key: string;
    message: string;
    signature: string;
  }[];
}
interface HmacFile {
  hmac_sha256: { case: number; key: string; data: string; output: string }[];
}

const x25519 = readVectors<X25519File>('rfc7748.json');
const chacha = readVectors<ChachaFile>('rfc8439.json');
const xchacha = readVectors<XchachaFile>('xchacha20.json');
const blake = readVectors<BlakeFile>('rfc7693.json');
const paper = readVectors<KdfFile>('kdf.json');
const ed25519 = readVectors<Ed25519File>('rfc8032.json');
const hmac = readVectors<HmacFile>('rfc4231.json');

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at]! ^= 1;
  return copy;
}

describe.each([nobleProvider, nodeProvider])('$name', (crypto) => {
  describe('X25519, RFC 7748', () => {
    test.each(x25519.scalar_multiplication)('5.2: $u', ({ scalar, u, output }) => {
      expect(toHex(crypto.x25519(fromHex(scalar), fromHex(u))!)).toBe(output);
      expect(toHex(crypto.x25519PrivateKey(fromHex(scalar)).agree(fromHex(u))!)).toBe(output);
    });

    test('5.2: iterated once and 1000 times', () => {
      let k = fromHex(x25519.iterated.start);
      let u = k;
      for (let round = 1; round <= 1000; round++) {
        [k, u] = [crypto.x25519(k, u)!, k];
        const expected = x25519.iterated.after[round];
        if (expected !== undefined) expect(toHex(k)).toBe(expected);
      }
    });

    test('6.1: Diffie-Hellman', () => {
      const { alice_private, alice_public, bob_private, bob_public, shared } =
        x25519.diffie_hellman;
      expect(toHex(crypto.x25519Public(fromHex(alice_private)))).toBe(alice_public);
      expect(toHex(crypto.x25519PrivateKey(fromHex(bob_private)).publicKey)).toBe(bob_public);
      expect(toHex(crypto.x25519(fromHex(alice_private), fromHex(bob_public))!)).toBe(shared);
      expect(toHex(crypto.x25519(fromHex(bob_private), fromHex(alice_public))!)).toBe(shared);
    });

    test.each(x25519.small_order.points)('6.1: small-order point %s is refused', (point) => {
      const own = fromHex(x25519.diffie_hellman.alice_private);
      expect(crypto.x25519(own, fromHex(point))).toBeUndefined();
      expect(crypto.x25519PrivateKey(own).agree(fromHex(point))).toBeUndefined();
    });
  });

  test('BLAKE2s, RFC 7693 appendix B and Go', () => {
    for (const { input, output } of [...blake.hash, ...paper.hash]) {
      const bytes = fromHex(input);
      expect(toHex(crypto.hash(bytes))).toBe(output);
      const half = bytes.length >> 1;
      expect(toHex(crypto.hash(bytes.subarray(0, half), bytes.subarray(half)))).toBe(output);
    }
  });

  test('MAC, HMAC and KDF of the WireGuard paper', () => {
    for (const { key, input, output } of paper.mac) {
      expect(toHex(crypto.mac(fromHex(key), fromHex(input)))).toBe(output);
    }
    for (const { key, input, output } of paper.hmac) {
      const bytes = fromHex(input);
      expect(toHex(crypto.hmac(fromHex(key), bytes))).toBe(output);
      expect(toHex(crypto.hmac(fromHex(key), bytes.subarray(0, 5), bytes.subarray(5)))).toBe(
        output,
      );
    }
    for (const { key, input, outputs } of paper.kdf) {
      for (const count of [1, 2, 3] as const) {
        expect(kdf(crypto, fromHex(key), fromHex(input), count).map(toHex)).toEqual(
          outputs.slice(0, count),
        );
      }
    }
  });

  test('ChaCha20-Poly1305 with a 64-bit nonce, RFC 8439 A.5', () => {
    const vector = chacha.aead.find(({ section }) => section === 'A.5')!;
    const [key, ad, plaintext] = [vector.key, vector.ad, vector.plaintext].map(fromHex) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const nonce = fromHex(vector.nonce);
    expect(toHex(nonce.subarray(0, 4))).toBe('00000000');
    const counter = new DataView(nonce.buffer).getBigUint64(4, true);
    const sealed = crypto.aeadSeal(key, counter, plaintext, ad);
    expect(toHex(sealed)).toBe(vector.ciphertext + vector.tag);
    expect(toHex(crypto.aeadOpen(key, counter, sealed, ad)!)).toBe(vector.plaintext);
    for (let at = 0; at < sealed.length; at++) {
      expect(crypto.aeadOpen(key, counter, flipped(sealed, at), ad)).toBeUndefined();
    }
    for (let at = 0; at < ad.length; at++) {
      expect(crypto.aeadOpen(key, counter, sealed, flipped(ad, at))).toBeUndefined();
    }
    expect(crypto.aeadOpen(key, counter ^ 1n, sealed, ad)).toBeUndefined();
  });

  test('XChaCha20-Poly1305, draft-irtf-cfrg-xchacha-03 A.3.1', () => {
    for (const vector of xchacha.aead) {
      const { key, nonce, ad, plaintext } = vector;
      const sealed = crypto.xaeadSeal(
        fromHex(key),
        fromHex(nonce),
        fromHex(plaintext),
        fromHex(ad),
      );
      expect(toHex(sealed)).toBe(vector.ciphertext + vector.tag);
      const open = (bytes: Uint8Array) =>
        crypto.xaeadOpen(fromHex(key), fromHex(nonce), bytes, fromHex(ad));
      expect(toHex(open(sealed)!)).toBe(plaintext);
      for (let at = 0; at < sealed.length; at++) expect(open(flipped(sealed, at))).toBeUndefined();
    }
  });

  test.each(ed25519.signatures)('Ed25519, RFC 8032 $name', (vector) => {
    const [seed, publicKey, message, signature] = [
      vector.seed,
      vector.public_key,
      vector.message,
      vector.signature,
    ].map(fromHex) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    expect(toHex(crypto.ed25519Public(seed))).toBe(vector.public_key);
    expect(toHex(crypto.ed25519Sign(seed, message))).toBe(vector.signature);
    expect(crypto.ed25519Verify(publicKey, message, signature)).toBe(true);
    for (let at = 0; at < signature.length; at++) {
      expect(crypto.ed25519Verify(publicKey, message, flipped(signature, at))).toBe(false);
    }
    expect(crypto.ed25519Verify(publicKey, concatBytes(message, seed), signature)).toBe(false);
  });

  test('HMAC-SHA-256, RFC 4231', () => {
    for (const { case: number, key, data, output } of hmac.hmac_sha256) {
      const whole = toHex(crypto.hmacSha256(fromHex(key), fromHex(data)));
      expect(whole.slice(0, output.length), `case ${number}`).toBe(output);
    }
  });
});

/** What the providers, and the kernel's tests, rest on: nonces here use all 96 bits. */
describe('the libraries underneath, RFC 8439', () => {
  test('ChaCha20 blocks and stream (2.3.2, 2.4.2, A.1)', () => {
    for (const { key, nonce, counter, output } of chacha.chacha20_block) {
      const zeros = new Uint8Array(64);
      expect(toHex(chacha20(fromHex(key), fromHex(nonce), zeros, undefined, counter))).toBe(output);
    }
    for (const { key, nonce, counter, plaintext, ciphertext } of chacha.chacha20) {
      const input = fromHex(plaintext);
      expect(toHex(chacha20(fromHex(key), fromHex(nonce), input, undefined, counter))).toBe(
        ciphertext,
      );
    }
  });

  test.each(chacha.aead)('noble: AEAD $section', (vector) => {
    const cipher = chacha20poly1305(fromHex(vector.key), fromHex(vector.nonce), fromHex(vector.ad));
    expect(toHex(cipher.encrypt(fromHex(vector.plaintext)))).toBe(vector.ciphertext + vector.tag);
  });

  test.each(chacha.aead)('node:crypto: AEAD $section', (vector) => {
    const options = { authTagLength: 16 };
    const [key, nonce, ad] = [vector.key, vector.nonce, vector.ad].map(fromHex) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const cipher = createCipheriv('chacha20-poly1305', key, nonce, options);
    cipher.setAAD(ad);
    expect(toHex(cipher.update(fromHex(vector.plaintext)))).toBe(vector.ciphertext);
    cipher.final();
    expect(toHex(cipher.getAuthTag())).toBe(vector.tag);
    const decipher = createDecipheriv('chacha20-poly1305', key, nonce, options);
    decipher.setAAD(ad);
    decipher.setAuthTag(fromHex(vector.tag));
    expect(toHex(decipher.update(fromHex(vector.ciphertext)))).toBe(vector.plaintext);
    decipher.final();
  });

  test('HChaCha20, draft-irtf-cfrg-xchacha-03 2.2.1', () => {
    const words = (bytes: Uint8Array) => new Uint32Array(bytes.slice().buffer);
    const constants = words(new TextEncoder().encode('expand 32-byte k'));
    for (const { key, nonce, output } of xchacha.hchacha20) {
      const derived = new Uint32Array(8);
      hchacha(constants, words(fromHex(key)), words(fromHex(nonce)), derived);
      expect(toHex(new Uint8Array(derived.buffer))).toBe(output);
    }
  });
});
