import type { CryptoProvider, Ed25519Check } from '../../crypto/provider.ts';
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

/** A score whose signatures nobody has verified yet. */
interface ClaimedScore extends Pick<SignedScore, 'hash' | 'document'> {
  readonly claims: readonly { readonly by: SigningKey; readonly check: Ed25519Check }[];
}

/**
 * Reads files of evidence, and verifies all their signatures by these keys; lines that are no score are
 * left out.
 */
export function signedScores(
  crypto: CryptoProvider,
  files: readonly Uint8Array[],
  keys: SigningKeys,
): SignedScore[][] {
  const read = files.map((file) => claimedScores(crypto, file, keys));
  const checks = read.flatMap((scores) =>
    scores.flatMap(({ claims }) => claims.map(({ check }) => check)),
  );
  const verified = crypto.ed25519VerifyEach(checks).values();
  return read.map((scores) =>
    scores.map(({ hash, document, claims }) => {
      const signers = claims.filter(() => verified.next().value).map(({ by }) => by);
      return { hash, document, signers };
    }),
  );
}

function claimedScores(
  crypto: CryptoProvider,
  file: Uint8Array,
  keys: SigningKeys,
): ClaimedScore[] {
  return (decodeLines(file) ?? []).flatMap((line) => {
    const read = readEnvelope(parseJson(line), PAYLOAD_TYPES.benchmark, benchmarkSchema);
    if (!read.ok) return [];
    const { document, payload, envelope } = read.value;
    const message = preAuthEncoding(envelope.payloadType, payload);
    const claims = envelope.signatures.flatMap(({ keyid, sig }) => {
      const signature = fromBase64(sig, 64);
      if (signature === undefined) return [];
      return (keys.get(keyid) ?? []).map((by) => {
        return { by, check: { publicKey: Uint8Array.fromBase64(by.key), message, signature } };
      });
    });
    return [{ hash: toBase64(crypto.sha256(message)), document, claims }];
  });
}
