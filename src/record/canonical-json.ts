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
  return asItIs(value) ?? sorted(value);
}

/** Whether this is the one text of `value`, which `JSON.parse` made of it. */
export function isCanonicalJson(text: string, value: Json): boolean {
  try {
    return canonicalJson(value) === text;
  } catch (error) {
    if (error instanceof RangeError) return false; // it has no canonical text
    throw error;
  }
}

/** The one text of a value, in UTF-8. */
export function canonicalBytes(value: Json): Uint8Array {
  return encoder.encode(canonicalJson(value));
}

/** The text that ECMAScript writes by itself, much faster, where that is the one: most often. */
function asItIs(value: Json): string | undefined {
  if (!isSorted(value)) return undefined;
  const text = JSON.stringify(value);
  return text.includes('\\ud') ? undefined : text; // halves of surrogate pairs are escaped
}

/** Whether members are sorted, and numbers finite. */
function isSorted(value: Json): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (value === null || typeof value !== 'object') return true;
  if (isArray(value)) return value.every(isSorted);
  let last: string | undefined;
  for (const name of Object.keys(value)) {
    if ((last !== undefined && last >= name) || !isSorted(value[name]!)) return false;
    last = name;
  }
  return true;
}

function sorted(value: Json): string {
  if (typeof value === 'string') return textOf(value);
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new RangeError(`${value} is no JSON number`);
  }
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isArray(value)) return `[${value.map(sorted).join()}]`;
  const members = Object.keys(value)
    .sort()
    .map((name) => `${textOf(name)}:${sorted(value[name]!)}`);
  return `{${members.join()}}`;
}

function textOf(value: string): string {
  if (!value.isWellFormed()) throw new RangeError('a string that is not well-formed Unicode');
  return JSON.stringify(value);
}

function isArray(value: object): value is readonly Json[] {
  return Array.isArray(value);
}
