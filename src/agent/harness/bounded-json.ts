import { none, type Outcome } from './outcome.ts';

/** Deeper than any harness writes; what is deeper costs the parser memory without bound. */
const MAX_DEPTH = 200;

export type Json =
  | { readonly ok: true; readonly value: unknown }
  | (Outcome & { readonly ok: false });

/**
 * Parses JSON from a stranger. `NaN` and `Infinity`, which Python writes and JSON does not know, are
 * taken as text: no number, wherever one is looked for.
 */
export function parseJson(bytes: Uint8Array): Json {
  const { depth, text } = scan(bytes);
  if (depth > MAX_DEPTH) return none('too_deep', `nested deeper than ${MAX_DEPTH}`);
  try {
    return { ok: true, value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text)) };
  } catch {
    return none('not_json', 'is not JSON, or not all of it');
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** As long as they are, so that they can be written over in place. */
const CONSTANTS = ['-Infinity', 'Infinity', 'NaN'].map((name) => ({
  bytes: Buffer.from(name),
  text: Buffer.from('""'.padEnd(name.length)),
}));

/** Depth of brackets outside of strings, and the text with its constants as strings. */
function scan(bytes: Uint8Array): { depth: number; text: Uint8Array } {
  let text = bytes;
  let depth = 0;
  let deepest = 0;
  let isString = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (isString) {
      if (byte === BACKSLASH)
        at++; // it takes the next one with it
      else if (byte === QUOTE) isString = false;
    } else if (byte === QUOTE) isString = true;
    else if (byte === 0x5b || byte === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (byte === 0x5d || byte === 0x7d) depth--;
    else if (byte === 0x49 || byte === 0x4e || byte === 0x2d) {
      const found = CONSTANTS.find(({ bytes: name }) =>
        name.every((one, i) => bytes[at + i] === one),
      );
      if (found === undefined) continue;
      if (text === bytes) text = bytes.slice();
      text.set(found.text, at);
      at += found.bytes.length - 1;
    }
  }
  return { depth: deepest, text };
}

/** The value at a path of own fields; undefined where there is none. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let here = value;
  for (const name of path) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, name)) return undefined;
    here = (here as Record<string | number, unknown>)[name];
  }
  return here;
}

/** A number, else NaN. */
export function numberAt(value: unknown, ...path: readonly (string | number)[]): number {
  const found = at(value, ...path);
  return typeof found === 'number' ? found : Number.NaN;
}

/** A date as ms since 1970, else NaN. One without a zone is in this machine's. */
export function dateAt(value: unknown, ...path: readonly (string | number)[]): number {
  const found = at(value, ...path);
  return typeof found === 'string' && /^\d{4}-\d\d-\d\dT/.test(found)
    ? Date.parse(found)
    : Number.NaN;
}
