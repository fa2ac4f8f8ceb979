import type { CryptoProvider } from '../crypto/provider.ts';
import { HASH_LENGTH } from './merkle.ts';
import { formatNote, type Note, type NoteKey, parseNote, signNote, verifyNote } from './note.ts';
import { fromBase64, toBase64 } from './text.ts';

/** What a log says of itself: C2SP tlog-checkpoint, the text of a signed note. */
export interface Checkpoint {
  /** Name of the log, the same for its life; also the name of its key. */
  readonly origin: string;
  /** Leaves. */
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
}

/** A checkpoint with the note that carries it, whose log's signature was verified. */
export interface SignedCheckpoint extends Checkpoint {
  readonly note: Note;
}

/** The key of a log is named like the log. */
export function logKey(origin: string, publicKey: Uint8Array): NoteKey {
  return { name: origin, algorithm: 'ed25519', publicKey };
}

/** A checkpoint's signed note as text. `seed`: the log's Ed25519 seed, 32 bytes. */
export function signCheckpoint(
  crypto: CryptoProvider,
  seed: Uint8Array,
  checkpoint: Checkpoint,
): string {
  const text = formatCheckpoint(checkpoint);
  const key = logKey(checkpoint.origin, crypto.ed25519Public(seed));
  return formatNote({ text, signatures: [signNote(crypto, seed, key, text)] });
}

/** Reads a checkpoint that the log's key signed. Undefined: malformed, of another log, or forged. */
export function openCheckpoint(
  crypto: Pick<CryptoProvider, 'sha256' | 'ed25519Verify'>,
  key: NoteKey,
  whole: string,
): SignedCheckpoint | undefined {
  const note = parseNote(whole);
  const checkpoint = note && parseCheckpoint(note.text);
  if (note === undefined || checkpoint?.origin !== key.name) return undefined;
  return verifyNote(crypto, note, key) === undefined ? undefined : { ...checkpoint, note };
}

export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

/** Reads a checkpoint's text, which may have lines of extensions. Undefined: malformed. */
export function parseCheckpoint(text: string): Checkpoint | undefined {
  const lines = text.split('\n');
  if (lines.length < 4 || lines.at(-1) !== '') return undefined;
  const [origin, sizeText, rootText, ...extensions] = lines.slice(0, -1);
  if (origin === '' || extensions.includes('')) return undefined;
  const size = /^(?:0|[1-9]\d{0,15})$/.test(sizeText!) ? Number(sizeText) : Number.NaN;
  const root = fromBase64(rootText!, HASH_LENGTH);
  if (!Number.isSafeInteger(size) || root === undefined) return undefined;
  return { origin: origin!, size, root };
}
