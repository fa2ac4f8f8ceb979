import { none, type Outcome } from './outcome.ts';

/** Deeper than any harness writes; what is deeper costs the parser memory without bound. */
const MAX_DEPTH = 200;

export type Json =
  | { readonly ok: true; readonly value: unknown }
  | (Outcome & { readonly ok: false });

/** Parses JSON from a stranger. */
export function parseJson(bytes: Uint8Array): Json {
  if (depthOf(bytes) > MAX_DEPTH) return none('too_deep', `nested deeper than ${MAX_DEPTH}`);
  try {
    return { ok: true, value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) };
  } catch {
    return none('not_json', 'is not JSON, or not all of it');
  }
}

/** Of brackets outside of strings. */
function depthOf(bytes: Uint8Array): number {
  let depth = 0;
  let deepest = 0;
  let isText = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (isText) {
      if (byte === 0x5c)
        at++; // a backslash takes the next one with it
      else if (byte === 0x22) isText = false;
    } else if (byte === 0x22) isText = true;
    else if (byte === 0x5b || byte === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (byte === 0x5d || byte === 0x7d) depth--;
  }
  return deepest;
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
