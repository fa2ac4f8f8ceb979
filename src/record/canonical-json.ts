/** What JSON can say. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [name: string]: Json };

const encoder = new TextEncoder();

/**
 * The one text of a value (RFC 8785): members sorted by their names' UTF-16 code units, no white
 * space, numbers and strings as ECMAScript writes them. Throws a RangeError for what has no such
 * text: numbers that are not finite, and halves of surrogate pairs.
 */
export function canonicalJson(value: Json): string {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new RangeError(`${value} is no JSON number`);
  }
  if (typeof value === 'string' && !value.isWellFormed()) {
    throw new RangeError('a string that is not well-formed Unicode');
  }
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${canonicalJson(name)}:${canonicalJson(value[name]!)}`).join(',')}}`;
}

/** The same in UTF-8. */
export function canonicalBytes(value: Json): Uint8Array {
  return encoder.encode(canonicalJson(value));
}

function isArray(value: object): value is readonly Json[] {
  return Array.isArray(value);
}
