import { isCanonicalJson, type Json } from '../record/canonical-json.ts';

/**
 * Text forms of bytes. JSON carries standard base64 with padding (as DSSE and WireGuard do); what
 * travels in headers, tokens and file names is base64url without padding. Decoding is strict: there
 * is exactly one accepted text for each byte string.
 */

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

export function toBase64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}

/** Undefined unless `text` is the canonical base64 of some bytes (of `length` bytes, if given). */
export function fromBase64(text: string, length?: number): Uint8Array | undefined {
  return decode(text, 'base64', length);
}

/** Undefined unless `text` is the canonical unpadded base64url of some bytes. */
export function fromBase64Url(text: string, length?: number): Uint8Array | undefined {
  return decode(text, 'base64url', length);
}

function decode(
  text: string,
  encoding: 'base64' | 'base64url',
  length: number | undefined,
): Uint8Array | undefined {
  const bytes = Buffer.from(text, encoding);
  if (length !== undefined && bytes.length !== length) return undefined;
  // Node's decoder skips what it does not know; only encoding again shows that nothing was skipped.
  if (bytes.toString(encoding) !== text) return undefined;
  return new Uint8Array(bytes);
}

/** Big-endian 64-bit integer; `value` is a non-negative safe integer. */
export function u64be(value: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError('not a non-negative integer');
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

/** One length byte and the bytes: makes a concatenation of fields unambiguous. */
export function shortField(bytes: Uint8Array): Uint8Array {
  if (bytes.length > 255) throw new RangeError('field longer than 255 bytes');
  const out = new Uint8Array(1 + bytes.length);
  out[0] = bytes.length;
  out.set(bytes, 1);
  return out;
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** Equal in time that depends on the length only. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The JSON value in `bytes`, or undefined if they are not UTF-8 or not JSON. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(UTF8.decode(bytes));
  } catch {
    return undefined;
  }
}

/** The same, or undefined if they are not the one text of it (RFC 8785) either. */
export function parseCanonicalJson(bytes: Uint8Array): unknown {
  try {
    const text = UTF8.decode(bytes);
    const value = JSON.parse(text) as Json;
    return isCanonicalJson(text, value) ? value : undefined;
  } catch {
    return undefined;
  }
}
