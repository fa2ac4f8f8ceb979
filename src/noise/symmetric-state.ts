import { concatBytes, copyBytes, zeroize } from '../crypto/bytes.ts';
import { kdf } from '../crypto/kdf.ts';
import type { CryptoProvider } from '../crypto/provider.ts';

const NOTHING = new Uint8Array(0);

/** Noise specification 5.2: chaining key, transcript hash and the current cipher key. */
export class SymmetricState {
  private readonly crypto: CryptoProvider;
  private chainingKey: Uint8Array;
  private transcript: Uint8Array;
  private key: Uint8Array = NOTHING;
  private nonce = 0n;

  constructor(crypto: CryptoProvider, protocolName: Uint8Array, prologue: Uint8Array) {
    this.crypto = crypto;
    if (protocolName.length <= 32) {
      this.transcript = concatBytes(protocolName, new Uint8Array(32 - protocolName.length));
    } else {
      this.transcript = crypto.hash(protocolName);
    }
    this.chainingKey = copyBytes(this.transcript);
    this.mixHash(prologue);
  }

  /** A copy that can be tried on a message and thrown away if the message is bad. */
  clone(): SymmetricState {
    const copy = Object.create(SymmetricState.prototype) as SymmetricState;
    return Object.assign(copy, this, {
      chainingKey: copyBytes(this.chainingKey),
      transcript: copyBytes(this.transcript),
      key: copyBytes(this.key),
    });
  }

  mixHash(data: Uint8Array): void {
    this.transcript = this.crypto.hash(this.transcript, data);
  }

  mixKey(input: Uint8Array): void {
    const [chainingKey, key] = kdf(this.crypto, this.chainingKey, input, 2);
    zeroize(this.chainingKey, this.key);
    this.chainingKey = chainingKey!;
    this.key = key!;
    this.nonce = 0n;
  }

  /** The psk token (Noise specification 9.2). */
  mixKeyAndHash(input: Uint8Array): void {
    const [chainingKey, hash, key] = kdf(this.crypto, this.chainingKey, input, 3);
    zeroize(this.chainingKey, this.key);
    this.chainingKey = chainingKey!;
    this.mixHash(hash!);
    this.key = key!;
    this.nonce = 0n;
  }

  encryptAndHash(plaintext: Uint8Array): Uint8Array {
    const ciphertext = this.crypto.aeadSeal(this.key, this.nonce++, plaintext, this.transcript);
    this.mixHash(ciphertext);
    return ciphertext;
  }

  /** Undefined if the tag is wrong; the state must not be used any further then. */
  decryptAndHash(ciphertext: Uint8Array): Uint8Array | undefined {
    const plaintext = this.crypto.aeadOpen(this.key, this.nonce++, ciphertext, this.transcript);
    if (plaintext !== undefined) this.mixHash(ciphertext);
    return plaintext;
  }

  /** The two transport keys: initiator to responder, responder to initiator. */
  split(): [Uint8Array, Uint8Array] {
    const [first, second] = kdf(this.crypto, this.chainingKey, NOTHING, 2);
    return [first!, second!];
  }

  zeroize(): void {
    zeroize(this.chainingKey, this.transcript, this.key);
  }
}
