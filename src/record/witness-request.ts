import { HASH_LENGTH } from './merkle.ts';
import { type NoteSignature, parseSignatures } from './note.ts';
import { fromBase64, toBase64 } from './text.ts';

/** What is asked of a witness: C2SP tlog-witness, `POST /add-checkpoint`. */
export interface WitnessRequest {
  /** Leaves of the checkpoint that the witness cosigned last; 0: none. */
  readonly oldSize: number;
  /** Consistency proof from there; empty for 0 and for the same size. */
  readonly proof: readonly Uint8Array[];
  /** Signed note. */
  readonly checkpoint: string;
}

/** Media type of an answer 409: its body is the size that the witness knows, and a newline. */
export const SIZE_MEDIA_TYPE = 'text/x.tlog.size';
const MOST_HASHES = 63;

export function encodeWitnessRequest({ oldSize, proof, checkpoint }: WitnessRequest): string {
  return [`old ${oldSize}`, ...proof.map(toBase64), '', checkpoint].join('\n');
}

/** Undefined: malformed. The checkpoint in it is not looked at. */
export function parseWitnessRequest(body: string): WitnessRequest | undefined {
  const end = body.indexOf('\n\n');
  if (end < 0) return undefined;
  const [first, ...lines] = body.slice(0, end).split('\n');
  const old = /^old (0|[1-9]\d{0,15})$/.exec(first!);
  const proof = lines.map((line) => fromBase64(line, HASH_LENGTH));
  if (old === null || proof.length > MOST_HASHES) return undefined;
  const hashes = proof.filter((hash) => hash !== undefined);
  if (hashes.length < proof.length) return undefined;
  return { oldSize: Number(old[1]), proof: hashes, checkpoint: body.slice(end + 2) };
}

/** The size in the body of an answer 409; undefined: malformed. */
export function parseKnownSize(body: string): number | undefined {
  return /^(?:0|[1-9]\d{0,14})\n$/.test(body) ? Number(body.trim()) : undefined;
}

/** The cosignatures in the body of an answer 200; undefined: malformed. */
export function parseCosignatures(body: string): readonly NoteSignature[] | undefined {
  return parseSignatures(body);
}
