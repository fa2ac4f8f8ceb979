/** Canonical standard base64 with padding. */
export function toBase64(bytes: Uint8Array): string {
  return bytes.toBase64();
}

/** Undefined unless `text` is the one base64 text of some bytes (of `length` bytes, if given). */
export function fromBase64(text: string, length?: number): Uint8Array | undefined {
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.fromBase64(text, { lastChunkHandling: 'strict' });
  } catch {
    return undefined;
  }
  if (length !== undefined && bytes.length !== length) return undefined;
  return bytes.toBase64() === text ? bytes : undefined; // white space was skipped otherwise
}

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  return new Uint8Array(bytes).toHex();
}
