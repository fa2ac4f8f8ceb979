import type { CryptoProvider } from '../../crypto/provider.ts';
import { type BenchmarkDocument, benchmarkSchema } from '../benchmark.ts';
import { fromBase64, parseJson, toBase64 } from '../encoding.ts';
import {
  PAYLOAD_TYPES,
  preAuthEncoding,
  type ReadEnvelope,
  readEnvelope,
  verifiedSigner,
} from '../envelope.ts';
import { signingKeyId } from '../ids.ts';
import { envelopeHash } from '../receipt.ts';
import { decodeLines } from './verdict-row.ts';

/** A score as it was signed, before anybody says whose signature counts. */
export interface Evidence {
  /** Base64: what rows name it by. */
  readonly hash: string;
  readonly read: ReadEnvelope<BenchmarkDocument>;
}

/** Reads a line of evidence. Undefined: it is no score envelope. */
export function parseEvidence(crypto: CryptoProvider, line: Uint8Array): Evidence | undefined {
  const read = readEnvelope(parseJson(line), PAYLOAD_TYPES.benchmark, benchmarkSchema);
  if (!read.ok) return undefined;
  return { hash: toBase64(envelopeHash(crypto, read.value.envelope)), read: read.value };
}

/** keyid of the one of these keys (base64) that signed it; undefined: none of them. */
export function signerOf(
  crypto: CryptoProvider,
  { read }: Evidence,
  keys: readonly string[],
): string | undefined {
  const key = verifiedSigner(
    crypto,
    read,
    keys.map((text) => fromBase64(text, 32)!),
  );
  return key && signingKeyId(crypto, key);
}

/** A key by which scores may be signed. */
export interface SigningKey {
  /** keyid: a hint which key is meant. */
  readonly id: string;
  /** Base64. */
  readonly key: string;
}

/** A score, and who signed it, before anybody says whose word counts about whom. */
export interface SignedScore {
  /** Base64: what rows name it by. */
  readonly hash: string;
  readonly document: BenchmarkDocument;
  /** Those of the keys that were looked for that signed it, in the order of its signatures. */
  readonly signers: readonly SigningKey[];
}

/** Signing keys by their keyids. */
export type SigningKeys = ReadonlyMap<string, readonly SigningKey[]>;

/** `keys`: base64. */
export function signingKeys(crypto: CryptoProvider, keys: Iterable<string>): SigningKeys {
  const all = [...new Set(keys)].map((key) => ({
    id: signingKeyId(crypto, Uint8Array.fromBase64(key)),
    key,
  }));
  return Map.groupBy(all, ({ id }) => id);
}

/** Reads a file of evidence, and verifies its signatures by these keys; lines that are no score are left out. */
export function signedScores(
  crypto: CryptoProvider,
  evidence: Uint8Array,
  keys: SigningKeys,
): SignedScore[] {
  const lines = decodeLines(evidence) ?? [];
  return lines.map((line) => signedScore(crypto, line, keys)).filter((one) => one !== undefined);
}

function signedScore(
  crypto: CryptoProvider,
  line: Uint8Array,
  keys: SigningKeys,
): SignedScore | undefined {
  const read = readEnvelope(parseJson(line), PAYLOAD_TYPES.benchmark, benchmarkSchema);
  if (!read.ok) return undefined;
  const { document, payload, envelope } = read.value;
  const message = preAuthEncoding(envelope.payloadType, payload);
  const signers = envelope.signatures.flatMap(({ keyid, sig }) => {
    const signature = fromBase64(sig, 64);
    if (signature === undefined) return [];
    const named = keys.get(keyid) ?? [];
    return named.filter(({ key }) =>
      crypto.ed25519Verify(Uint8Array.fromBase64(key), message, signature),
    );
  });
  return { hash: toBase64(crypto.sha256(message)), document, signers };
}
