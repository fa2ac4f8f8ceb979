import { canonicalJson, type Json } from '../../record/canonical-json.ts';
import { leafHash, type Sha256 } from '../../record/merkle.ts';
import { fromBase64, parseCanonicalJson, toBase64 } from '../encoding.ts';
import { suiteStatusSchema } from '../epoch.ts';
import { bytes32Field, nodeIdField, reasonField, timeField } from '../fields.ts';
import { exactly, type FromSchema } from '../from-schema.ts';
import { violation } from '../schema.ts';

const MAX_EVIDENCE = 4096;

const evidenceEntrySchema = exactly({
  /** Base64 of the score envelope's hash. */
  hash: bytes32Field,
  /** Controller's clock, ms: a score's age counts from the older of this and its own time. */
  received_at: timeField,
});

/**
 * What an epoch decided about one node, and from what: a leaf of the tree whose root is in the
 * epoch's leaf of the log. The salt keeps who knows the tree's hashes from guessing a row.
 */
const rowSchema = exactly({
  node: nodeIdField,
  /** In force. */
  allowed: { type: 'boolean' },
  reason: reasonField,
  /** The policy's own word; where it is not what is in force, the reason says why. */
  passed: { type: 'boolean' },
  suites: { type: 'array', maxItems: 64, items: suiteStatusSchema },
  /** What judgement remembered of it from the epochs before; null: nothing. */
  standing: { type: ['object', 'null'] },
  /** The controller had been away and waited for its report. */
  awaited: { type: 'boolean' },
  /** The scores that the policy was given, oldest first. */
  evidence: { type: 'array', maxItems: MAX_EVIDENCE, items: evidenceEntrySchema },
  /** Base64 of 16 bytes. */
  salt: { type: 'string', pattern: '^[A-Za-z0-9+/]{21}[AQgw]==$', description: '16 bytes' },
});

export type VerdictRow = FromSchema<typeof rowSchema>;

/** Reason and numbers of a verdict: `score_below_threshold; alignment 0.300, 4 s old, of 50, failed`. */
export function numbersOf({ reason, suites }: VerdictRow): string {
  const each = suites.map(({ suite, score, age_s, samples, passed }) => {
    const value = score === null ? 'no score' : score.toFixed(3);
    const age = age_s === null ? '' : `, ${Math.round(age_s)} s old`;
    const of = samples === null ? '' : `, of ${samples}`;
    return `${suite} ${value}${age}${of}, ${passed ? 'passed' : 'failed'}`;
  });
  return [reason, ...each].join('; ');
}

const encoder = new TextEncoder();

/** A row's bytes: its canonical JSON. */
export function verdictRowBytes(row: VerdictRow): Uint8Array {
  const bytes = Buffer.from(canonicalJson(row as unknown as Json)); // in half the time of an encoder
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Reads a row. Undefined: malformed, or not its canonical text. */
export function parseVerdictRow(bytes: Uint8Array): VerdictRow | undefined {
  const value = parseCanonicalJson(bytes);
  return violation(rowSchema, value) === undefined ? (value as VerdictRow) : undefined;
}

const NEWLINE = 0x0a;

/** All rows of an epoch, one a line, ids in byte order. */
export function encodeBundle(rows: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(rows.reduce((sum, row) => sum + row.length + 1, 0));
  let offset = 0;
  for (const row of rows) {
    bytes.set(row, offset);
    offset += row.length;
    bytes[offset++] = NEWLINE;
  }
  return bytes;
}

const BRACE = 0x7b;

/** Whether a line of such a file is a row, and not the hash of one that is withheld. */
export function isRow(line: Uint8Array): boolean {
  return line[0] === BRACE;
}

/** Hash (32 bytes) of a line as a leaf of the tree, also of a row that is withheld. */
export function lineHash(crypto: Sha256, line: Uint8Array): Uint8Array {
  const withheld = isRow(line) ? undefined : fromBase64(new TextDecoder().decode(line), 32);
  return withheld ?? leafHash(crypto, line);
}

/**
 * The same file with nobody's row but that of `node`: in the place of the others stand the hashes of their
 * leaves, base64, of which the tree can still be made.
 */
export function withheldBut(
  crypto: Sha256,
  bundle: Uint8Array,
  node: string | undefined,
): Uint8Array {
  const lines = (decodeLines(bundle) ?? []).map((line) =>
    node !== undefined && parseVerdictRow(line)?.node === node
      ? line
      : encoder.encode(toBase64(leafHash(crypto, line))),
  );
  return encodeBundle(lines);
}

/** The lines of such a file, without believing any; undefined: it ends in the middle of one. */
export function decodeLines(bytes: Uint8Array): Uint8Array[] | undefined {
  const lines: Uint8Array[] = [];
  let start = 0;
  while (start < bytes.length) {
    const end = bytes.indexOf(NEWLINE, start);
    if (end < 0) return undefined;
    lines.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return lines;
}
