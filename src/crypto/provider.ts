/** A private key prepared for repeated use; implementations may keep it in native form. */
export interface X25519PrivateKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Shared secret (32 bytes), or undefined if it is all zero (small-order point). */
  agree(publicKey: Uint8Array): Uint8Array | undefined;
  /** Lets go of the private key; from then on it agrees with nobody. */
  zeroize(): void;
}

/** A signature to be verified. */
export interface Ed25519Check {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

/** What handshakes, cookies and governance need of cryptography. Implementations: noble, node. */
export interface CryptoProvider {
  readonly name: string;

  /** X25519 public key (32 bytes) of a private key (32 bytes, clamped on use, RFC 7748 section 5). */
  x25519Public(privateKey: Uint8Array): Uint8Array;
  /** Shared secret (32 bytes), or undefined if it is all zero (small-order point). */
  x25519(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined;

  /** Prepares a private key (32 bytes, copied) for repeated agreement. */
  x25519PrivateKey(privateKey: Uint8Array): X25519PrivateKey;

  /** BLAKE2s-256 of the concatenation of `parts` (RFC 7693). */
  hash(...parts: Uint8Array[]): Uint8Array;
  /** HMAC-BLAKE2s-256 (the KDF's HMAC, paper 5.4). */
  hmac(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array;
  /** Keyed BLAKE2s with a 16-byte output (mac1, mac2). */
  mac(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array;

  /** ChaCha20-Poly1305 (RFC 8439), 64-bit counter nonce as in WireGuard. Returns ciphertext + tag. */
  aeadSeal(key: Uint8Array, counter: bigint, plaintext: Uint8Array, ad: Uint8Array): Uint8Array;
  /** Plaintext, or undefined if the tag is wrong. */
  aeadOpen(
    key: Uint8Array,
    counter: bigint,
    ciphertext: Uint8Array,
    ad: Uint8Array,
  ): Uint8Array | undefined;
  /** XChaCha20-Poly1305 with a 24-byte nonce (cookie reply). */
  xaeadSeal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, ad: Uint8Array): Uint8Array;
  xaeadOpen(
    key: Uint8Array,
    nonce: Uint8Array,
    ciphertext: Uint8Array,
    ad: Uint8Array,
  ): Uint8Array | undefined;

  /** Ed25519 public key of a 32-byte seed (RFC 8032). */
  ed25519Public(seed: Uint8Array): Uint8Array;
  ed25519Sign(seed: Uint8Array, message: Uint8Array): Uint8Array;
  /** Strict verification (RFC 8032 / FIPS 186-5 rules, not ZIP-215): all providers agree. */
  ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;

  /**
   * Which of many signatures verify; for what is public. A provider may verify them together, as RFC 8032
   * section 5.1.7 defines it: with the cofactor. That differs from {@link ed25519Verify} only for what
   * the holder of the private key made to differ (docs/SECURITY.md).
   */
  ed25519VerifyEach(checks: readonly Ed25519Check[]): boolean[];

  sha256(...parts: Uint8Array[]): Uint8Array;
  hmacSha256(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array;
}

/** Fills a fresh array of `length` bytes with randomness; injected everywhere so tests can seed it. */
export type RandomBytes = (length: number) => Uint8Array;
