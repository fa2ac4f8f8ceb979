import { describe, expect, test } from 'vitest';
import { concatBytes } from '../../src/crypto/bytes.ts';
import { nobleProvider } from '../../src/crypto/noble.ts';
import { nodeProvider } from '../../src/crypto/node.ts';
import { fromHex, readVectors, toHex } from '../lab/vectors.ts';

interface Case {
  readonly tcId: number;
  /** `acceptable`: an implementation may refuse it. */
  readonly result: 'valid' | 'invalid' | 'acceptable';
}
interface AeadCase extends Case {
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
}
interface Wycheproof {
  readonly ed25519: readonly (Case & Record<'pk' | 'msg' | 'sig', string>)[];
  readonly x25519: readonly (Case & Record<'public' | 'private' | 'shared', string>)[];
  readonly chacha20poly1305: readonly AeadCase[];
  readonly xchacha20poly1305: readonly AeadCase[];
  readonly hmac_sha256: readonly (Case & Record<'key' | 'msg' | 'tag', string>)[];
}

const vectors = readVectors<Wycheproof>('wycheproof.json');
/** Where the low 255 bits are this, X25519's result is zero (RFC 7748, section 6.1). */
const ZERO = '00'.repeat(32);

const checks = vectors.ed25519.map(({ pk, msg, sig }) => {
  return { publicKey: fromHex(pk), message: fromHex(msg), signature: fromHex(sig) };
});
const verifies = vectors.ed25519.map(({ result }) => result === 'valid');

describe.each([nobleProvider, nodeProvider])('$name holds the vectors of Wycheproof', (crypto) => {
  test('Ed25519, one by one', () => {
    const each = checks.map(({ publicKey, message, signature }) =>
      crypto.ed25519Verify(publicKey, message, signature),
    );
    expect(each).toEqual(verifies);
  });

  test('Ed25519, all at once', () => {
    expect(crypto.ed25519VerifyEach(checks)).toEqual(verifies);
  });

  test('X25519: a result that is zero is refused, and nothing else', () => {
    for (const one of vectors.x25519) {
      const shared = crypto.x25519(fromHex(one.private), fromHex(one.public));
      const expected = one.shared === ZERO ? undefined : one.shared;
      expect([one.tcId, shared && toHex(shared)]).toEqual([one.tcId, expected]);
    }
  });

  test('ChaCha20-Poly1305 with nonces as WireGuard makes them', () => {
    for (const { tcId, result, key, iv, aad, msg, ct, tag } of vectors.chacha20poly1305) {
      const counter = new DataView(fromHex(iv).buffer).getBigUint64(4, true);
      const sealed = fromHex(ct + tag);
      const opened = crypto.aeadOpen(fromHex(key), counter, sealed, fromHex(aad));
      expect([tcId, opened && toHex(opened)]).toEqual([tcId, result === 'valid' ? msg : undefined]);
      if (result !== 'valid') continue;
      expect(crypto.aeadSeal(fromHex(key), counter, fromHex(msg), fromHex(aad))).toEqual(sealed);
    }
  });

  test('XChaCha20-Poly1305', () => {
    for (const { tcId, result, key, iv, aad, msg, ct, tag } of vectors.xchacha20poly1305) {
      const [k, nonce, ad] = [key, iv, aad].map(fromHex) as [Uint8Array, Uint8Array, Uint8Array];
      const sealed = concatBytes(fromHex(ct), fromHex(tag));
      const opened = crypto.xaeadOpen(k, nonce, sealed, ad);
      expect([tcId, opened && toHex(opened)]).toEqual([tcId, result === 'valid' ? msg : undefined]);
      if (result === 'valid') expect(crypto.xaeadSeal(k, nonce, fromHex(msg), ad)).toEqual(sealed);
    }
  });

  test('HMAC-SHA-256', () => {
    for (const { tcId, result, key, msg, tag } of vectors.hmac_sha256) {
      const whole = toHex(crypto.hmacSha256(fromHex(key), fromHex(msg)));
      expect([tcId, whole.slice(0, tag.length) === tag]).toEqual([tcId, result === 'valid']);
    }
  });
});

test('each signature of Wycheproof, beside 63 that are valid, holds or fails the equation of all', () => {
  const valid = checks.filter((_, i) => verifies[i]).slice(0, 63);
  for (const [i, check] of checks.entries()) {
    const each = nodeProvider.ed25519VerifyEach([...valid, check]);
    expect([i, each]).toEqual([i, [...valid.map(() => true), verifies[i]]]);
  }
});
