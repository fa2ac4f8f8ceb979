/** X25519 keys as bytes: RFC 7748 section 5. */

/** A copy of a private key as X25519 uses it: the bits that it ignores are as it takes them. */
export function clampX25519(privateKey: Uint8Array): Uint8Array {
  const clamped = new Uint8Array(privateKey);
  clamped[0]! &= 248;
  clamped[31] = (clamped[31]! & 127) | 64;
  return clamped;
}

/** Whether bit 255 of a public key is set: X25519 ignores it, so the key is another one's alias. */
export function isMaskedX25519(publicKey: Uint8Array): boolean {
  return (publicKey[31]! & 0x80) !== 0;
}

/** False for every alias of a public key: bit 255 set, or not less than 2^255 - 19. */
export function isCanonicalX25519(publicKey: Uint8Array): boolean {
  if (isMaskedX25519(publicKey)) return false;
  const isBelow =
    publicKey[0]! < 0xed ||
    publicKey[31] !== 0x7f ||
    publicKey.subarray(1, 31).some((byte) => byte !== 0xff);
  return isBelow;
}
