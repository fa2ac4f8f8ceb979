import { copyBytes, zeroize } from '../crypto/bytes.ts';
import type { CryptoProvider, X25519PrivateKey } from '../crypto/provider.ts';

/** The device's static key. */
export class Identity {
  readonly privateKey: Uint8Array;
  readonly key: X25519PrivateKey;

  constructor(crypto: CryptoProvider, privateKey: Uint8Array) {
    this.privateKey = copyBytes(privateKey);
    this.key = crypto.x25519PrivateKey(privateKey);
  }

  get publicKey(): Uint8Array {
    return this.key.publicKey;
  }

  /** Wipes the private key. */
  zeroize(): void {
    zeroize(this.privateKey);
    this.key.zeroize();
  }

  /** True if this side's public key is bytewise smaller. */
  isSmallerThan(publicKey: Uint8Array): boolean {
    for (let i = 0; i < 32; i++) {
      if (this.publicKey[i]! !== publicKey[i]!) return this.publicKey[i]! < publicKey[i]!;
    }
    return false;
  }
}
