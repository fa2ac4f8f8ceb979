// Events hold foreign text: each repetition has a bound, so that none of it can make this slow.

/** What stands in the place of a secret. */
const REDACTED = '[redacted]';

/** `id.secret.fingerprint`: only the secret goes. See contract/join-token.ts. */
const JOIN_TOKEN = /\b([\w-]{12})\.[\w-]{43}\.([\w-]{43})\b/g;
/** `user:password@` in a URL. */
const USERINFO = /(\b[a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/@"']{1,512}@/gi;
/** `Authorization: Bearer ...` and the like, also as JSON. */
const AUTHORIZATION =
  /\b((?:proxy-)?authorization["']?\s{0,4}[:=]\s{0,4}["']?)(?:[a-z]{1,20}\s{1,4})?[^\s"',;]+/gi;
const BEARER = /\b(bearer|basic)\s{1,4}[\w.~+/=-]{6,}/gi;
/** `API_KEY=...`, `"password": "..."`, `--token=...`, in a name of whatever prefix. */
const NAMED =
  /((?:secret|token|passw(?:or)?d|passphrase|api[_-]?key|private[_-]?key|access[_-]?key|credential)[\w-]{0,64}["']?\s{0,4}[:=]\s{0,4}["']?)[^\s"',;&]+/gi;
/** Keys of the services that people measure with. */
const SERVICE_KEY = /\b(?:sk|pk|rk|ghp|gho|ghs|glpat|hf|xox[abprs])[-_][\w-]{12,}/g;
const PEM =
  /-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|$)/g;

/**
 * Text without what looks like a secret, and without `known` ones (32-byte keys), however they are
 * written: as they are, base64, base64url or hexadecimal.
 */
export function redact(text: string, known: readonly Uint8Array[]): string {
  let clean = text;
  for (const secret of known) {
    const bytes = Buffer.from(secret);
    for (const form of ['base64', 'base64url', 'hex'] as const) {
      clean = clean.replaceAll(bytes.toString(form), REDACTED);
    }
  }
  return clean
    .replace(PEM, REDACTED)
    .replace(JOIN_TOKEN, `$1.${REDACTED}.$2`)
    .replace(USERINFO, `$1${REDACTED}@`)
    .replace(AUTHORIZATION, `$1${REDACTED}`)
    .replace(BEARER, `$1 ${REDACTED}`)
    .replace(NAMED, `$1${REDACTED}`)
    .replace(SERVICE_KEY, REDACTED);
}
