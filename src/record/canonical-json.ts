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
  if (typeof value === 'string') return textOf(value);
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new RangeError(`${value} is no JSON number`);
  }
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  let text = '';
  if (isArray(value)) {
    for (const item of value) text += `${text === '' ? '' : ','}${canonicalJson(item)}`;
    return `[${text}]`;
  }
  for (const name of Object.keys(value).sort()) {
    text += `${text === '' ? '' : ','}${textOf(name)}:${canonicalJson(value[name]!)}`;
  }
  return `{${text}}`;
}

/** What JSON writes as it is: most names, and most texts. */
const PLAIN = /^[\w .:+/=-]*$/;

function textOf(value: string): string {
  if (PLAIN.test(value)) return `"${value}"`;
  if (!value.isWellFormed()) throw new RangeError('a string that is not well-formed Unicode');
  return JSON.stringify(value);
}

/** Whether this is the one text of `value`, which `JSON.parse` made of it. */
export function isCanonicalJson(text: string, value: Json): boolean {
  // Most texts are what ECMAScript writes without sorting; halves of surrogate pairs it escapes.
  if (JSON.stringify(value) === text && isSorted(value) && !text.includes('\\ud')) return true;
  try {
    return canonicalJson(value) === text;
  } catch (error) {
    if (error instanceof RangeError) return false; // it has no canonical text
    throw error;
  }
}

function isSorted(value: Json): boolean {
  if (value === null || typeof value !== 'object') return true;
  if (isArray(value)) return value.every(isSorted);
  const names = Object.keys(value);
  return names.every((name, i) => (i === 0 || names[i - 1]! < name) && isSorted(value[name]!));
}

/** The one text of a value, in UTF-8. */
export function canonicalBytes(value: Json): Uint8Array {
  return encoder.encode(canonicalJson(value));
}

function isArray(value: object): value is readonly Json[] {
  return Array.isArray(value);
}
