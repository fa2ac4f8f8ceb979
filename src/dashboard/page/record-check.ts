import { sha256 } from '@noble/hashes/sha2.js';
import { controllerFingerprint } from '../../contract/ids.ts';
import { concatBytes, constantTimeEqual } from '../../crypto/bytes.ts';
import { openCheckpoint, type SignedCheckpoint } from '../../record/checkpoint.ts';
import { type NoteKey, parseNote, parseVerifierKey } from '../../record/note.ts';
import { LogReader } from '../../record/read-log.ts';
import { fromBase64, toBase64, toHex } from '../../record/text.ts';
import { ask } from './send.ts';

/**
 * Verifies the record in this browser: that the checkpoint is signed by the mesh's key, that every entry
 * is in the tree which was signed, and that the tree grew out of the one this browser saw last. Nothing
 * that the server says about any of this is believed.
 */

const hashing = { sha256: (...parts: Uint8Array[]) => sha256(concatBytes(...parts)) };

/** What came of it. */
export interface RecordCheck {
  readonly size: number;
  /** Hexadecimal. */
  readonly root: string;
  /** Base64. */
  readonly meshId: string;
  readonly verifierKey: string;
  /** The checkpoint that this browser had accepted before; undefined: this is the first. */
  readonly before: Remembered | undefined;
  /** Newest last. */
  readonly entries: readonly Readonly<Record<string, unknown>>[];
}

export interface Remembered {
  readonly size: number;
  /** Base64. */
  readonly root: string;
  /** This browser's clock, ms. */
  readonly at: number;
  /** The signed checkpoint. */
  readonly note: string;
}

/** The record is not what it was, or not what it says. `evidence` can be shown to others. */
export class RecordFault extends Error {
  override readonly name = 'RecordFault';
  readonly evidence: readonly string[];

  constructor(message: string, evidence: readonly string[]) {
    super(message);
    this.evidence = evidence;
  }
}

/** Entries that are shown. */
const SHOWN = 200;

export async function checkRecord(progress: (entries: number) => void): Promise<RecordCheck> {
  const verifierKey = (await text('key')).trim();
  const note = await text('checkpoint');
  const key = parseVerifierKey(hashing, verifierKey);
  if (key === undefined) throw new RecordFault('The record names no key.', [verifierKey]);
  const meshId = controllerFingerprint(hashing, key.publicKey);
  if (!key.name.includes(toHex(meshId))) {
    throw new RecordFault('The record is signed by a key that is not its mesh’s.', [verifierKey]);
  }
  const checkpoint = await signedCheckpoint(key, note);
  const reader = new LogReader(hashing, read);
  await reader.readTo(checkpoint, progress);
  const { tree, entries } = reader;
  const before = remembered(key.name);
  if (before !== undefined) {
    const evidence = [before.note, note];
    if (before.size > checkpoint.size) {
      const message = `It has ${checkpoint.size} entries; this browser saw ${before.size}. It was cut short.`;
      throw new RecordFault(message, evidence);
    }
    const root = fromBase64(before.root);
    if (root === undefined || !constantTimeEqual(tree.root(before.size), root)) {
      const message = `Its first ${before.size} entries are not those that this browser saw. It was rewritten.`;
      throw new RecordFault(message, evidence);
    }
  }
  const root = toBase64(checkpoint.root);
  remember(key.name, { size: checkpoint.size, root, at: Date.now(), note });
  return {
    size: checkpoint.size,
    root: toHex(checkpoint.root),
    meshId: toBase64(meshId),
    verifierKey,
    before,
    entries: entries.slice(-SHOWN).map((entry) => JSON.parse(new TextDecoder().decode(entry))),
  };
}

/** The browser verifies Ed25519 itself, but not at once: signatures are looked at before they are asked for. */
async function signedCheckpoint(key: NoteKey, whole: string): Promise<SignedCheckpoint> {
  const publicKey = await crypto.subtle.importKey('raw', copy(key.publicKey), 'Ed25519', false, [
    'verify',
  ]);
  const valid = new Set<string>();
  const { text: signed = '', signatures = [] } = parseNote(whole) ?? {};
  for (const { bytes } of signatures) {
    const signature = bytes.slice(4); // behind the hash of the key
    const message = new TextEncoder().encode(signed);
    if (signature.length !== 64) continue;
    if (await crypto.subtle.verify('Ed25519', publicKey, copy(signature), message)) {
      valid.add(toBase64(signature));
    }
  }
  const ed25519Verify = (_key: Uint8Array, _message: Uint8Array, signature: Uint8Array) =>
    valid.has(toBase64(signature));
  const checkpoint = openCheckpoint({ ...hashing, ed25519Verify }, key, whole);
  if (checkpoint === undefined) {
    throw new RecordFault('The checkpoint is not signed by the mesh’s key.', [whole]);
  }
  return checkpoint;
}

function copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

async function read(path: string): Promise<Uint8Array | undefined> {
  const { answer, failure, status } = await ask('GET', `/log/${path}`);
  if (answer !== undefined) return new Uint8Array(await answer.arrayBuffer());
  if (status === 404) return undefined;
  throw new Error(failure);
}

async function text(path: string): Promise<string> {
  const bytes = await read(path);
  if (bytes === undefined) throw new Error(`/log/${path}: there is none`);
  return new TextDecoder().decode(bytes);
}

function remembered(origin: string): Remembered | undefined {
  const stored = localStorage.getItem(`record ${origin}`);
  return stored === null ? undefined : (JSON.parse(stored) as Remembered);
}

function remember(origin: string, checkpoint: Remembered): void {
  localStorage.setItem(`record ${origin}`, JSON.stringify(checkpoint));
}
