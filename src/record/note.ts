import { concatBytes } from '../crypto/bytes.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { fromBase64, toBase64, toHex } from './text.ts';

/**
 * Signed notes (C2SP signed-note) with Ed25519 signatures, and cosignatures of witnesses
 * (C2SP tlog-cosignature, cosignature/v1).
 */

/** The byte that a verifier key's bytes begin with, and what it says of signatures. */
const ALGORITHMS = { ed25519: 0x01, cosignature: 0x04 } as const;
export type NoteAlgorithm = keyof typeof ALGORITHMS;

/** A key that verifies a note's signatures. */
export interface NoteKey {
  /** No spaces and no plus sign. */
  readonly name: string;
  readonly algorithm: NoteAlgorithm;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
}

export interface NoteSignature {
  readonly name: string;
  /** Key hash (4 bytes) and signature. */
  readonly bytes: Uint8Array;
}

export interface Note {
  /** Ends with a newline. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

type Hashing = Pick<CryptoProvider, 'sha256'>;
type Signing = Pick<CryptoProvider, 'sha256' | 'ed25519Sign'>;
type Verifying = Pick<CryptoProvider, 'sha256' | 'ed25519Verify'>;

/** More signatures, or a longer note, and it is not looked at. */
const MAX_SIGNATURES = 100;
const MAX_NOTE_LENGTH = 1_000_000;
const KEY_HASH_LENGTH = 4;
const ED25519_LENGTH = 64;
const TIME_LENGTH = 8;

const NAME = /^[^\s+\p{Cc}]+$/u;
const SIGNATURE_LINE = /^\u2014 (\S+) (\S+)$/u;
const NEWLINE = Uint8Array.of(0x0a);
const encoder = new TextEncoder();

export function isKeyName(name: string): boolean {
  return NAME.test(name);
}

/** First four bytes of SHA-256(name, newline, algorithm, public key): which signatures to look at. */
export function keyHash({ sha256 }: Hashing, key: NoteKey): Uint8Array {
  const digest = sha256(encoder.encode(key.name), NEWLINE, encodedKey(key));
  return digest.slice(0, KEY_HASH_LENGTH);
}

/** `name+hash+base64`: how tools are told a verifier key. */
export function verifierKeyText(crypto: Hashing, key: NoteKey): string {
  return `${key.name}+${toHex(keyHash(crypto, key))}+${toBase64(encodedKey(key))}`;
}

/** The key of such a text; undefined if it is malformed, or of an algorithm not known here. */
export function parseVerifierKey(crypto: Hashing, text: string): NoteKey | undefined {
  const match = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text);
  if (match === null) return undefined;
  const [, name, hash, keyText] = match;
  const bytes = fromBase64(keyText!);
  if (bytes === undefined || bytes.length !== 33 || !isKeyName(name!)) return undefined;
  const algorithm = (Object.keys(ALGORITHMS) as NoteAlgorithm[]).find(
    (one) => ALGORITHMS[one] === bytes[0],
  );
  if (algorithm === undefined) return undefined;
  const key = { name: name!, algorithm, publicKey: bytes.slice(1) };
  return toHex(keyHash(crypto, key)) === hash ? key : undefined;
}

/** A signature of `text` (which ends with a newline) by an Ed25519 seed of 32 bytes. */
export function signNote(
  crypto: Signing,
  seed: Uint8Array,
  key: NoteKey,
  text: string,
): NoteSignature {
  const signature = crypto.ed25519Sign(seed, encoder.encode(text));
  return { name: key.name, bytes: concatBytes(keyHash(crypto, key), signature) };
}

/** A witness's signature of a checkpoint's `text`, and of the time (s since 1970) it saw it first. */
export function cosignNote(
  crypto: Signing,
  seed: Uint8Array,
  key: NoteKey,
  text: string,
  timeS: number,
): NoteSignature {
  const signature = crypto.ed25519Sign(seed, cosignedMessage(text, timeS));
  return { name: key.name, bytes: concatBytes(keyHash(crypto, key), u64be(timeS), signature) };
}

/** The note as it travels: text, blank line, one line per signature. */
export function formatNote({ text, signatures }: Note): string {
  return `${text}\n${signatures.map(formatSignature).join('')}`;
}

/** A note's line for one signature. */
export function formatSignature({ name, bytes }: NoteSignature): string {
  return `\u2014 ${name} ${toBase64(bytes)}\n`;
}

/** Reads a note without believing any of its signatures. Undefined: malformed. */
export function parseNote(whole: string): Note | undefined {
  if (whole.length > MAX_NOTE_LENGTH || hasControls(whole)) return undefined;
  const split = whole.lastIndexOf('\n\n');
  if (split < 0 || !whole.endsWith('\n')) return undefined;
  const signatures = parseSignatures(whole.slice(split + 2));
  if (signatures === undefined || signatures.length === 0) return undefined;
  return { text: whole.slice(0, split + 1), signatures };
}

/** Signature lines alone, as a witness answers with. Undefined: malformed. */
export function parseSignatures(lines: string): NoteSignature[] | undefined {
  if (lines !== '' && !lines.endsWith('\n')) return undefined;
  const signatures: NoteSignature[] = [];
  for (const line of lines.split('\n').slice(0, -1)) {
    const match = SIGNATURE_LINE.exec(line);
    const bytes = match === null ? undefined : fromBase64(match[2]!);
    if (bytes === undefined || bytes.length <= KEY_HASH_LENGTH) return undefined;
    if (!isKeyName(match![1]!) || signatures.length === MAX_SIGNATURES) return undefined;
    signatures.push({ name: match![1]!, bytes });
  }
  return signatures;
}

/**
 * Whether the note has a valid signature of `key`; for a cosignature, of when (s since 1970). One
 * that names the key and is not valid makes the note invalid, whatever else it carries.
 */
export function verifyNote(
  crypto: Verifying,
  note: Note,
  key: NoteKey,
): { readonly timeS: number | undefined } | undefined {
  const hash = toHex(keyHash(crypto, key));
  let verified: { readonly timeS: number | undefined } | undefined;
  for (const { name, bytes } of note.signatures) {
    if (name !== key.name || toHex(bytes.subarray(0, KEY_HASH_LENGTH)) !== hash) continue;
    const found = verifyOne(crypto, note.text, key, bytes.subarray(KEY_HASH_LENGTH));
    if (found === undefined) return undefined;
    verified ??= found;
  }
  return verified;
}

function verifyOne(
  crypto: Verifying,
  text: string,
  { algorithm, publicKey }: NoteKey,
  bytes: Uint8Array,
): { readonly timeS: number | undefined } | undefined {
  if (algorithm === 'ed25519') {
    const isValid =
      bytes.length === ED25519_LENGTH &&
      crypto.ed25519Verify(publicKey, encoder.encode(text), bytes);
    return isValid ? { timeS: undefined } : undefined;
  }
  if (bytes.length !== TIME_LENGTH + ED25519_LENGTH) return undefined;
  const time = new DataView(bytes.buffer, bytes.byteOffset, TIME_LENGTH).getBigUint64(0);
  if (time > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  const timeS = Number(time);
  const signature = bytes.subarray(TIME_LENGTH);
  return crypto.ed25519Verify(publicKey, cosignedMessage(text, timeS), signature)
    ? { timeS }
    : undefined;
}

function cosignedMessage(text: string, timeS: number): Uint8Array {
  return encoder.encode(`cosignature/v1\ntime ${timeS}\n${text}`);
}

function encodedKey({ algorithm, publicKey }: NoteKey): Uint8Array {
  return concatBytes(Uint8Array.of(ALGORITHMS[algorithm]), publicKey);
}

/** Notes are text: no control characters but newlines. */
function hasControls(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 && code !== 0x0a) return true;
  }
  return false;
}

function u64be(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}
