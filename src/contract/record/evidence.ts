import type { CryptoProvider } from '../../crypto/provider.ts';
import { type BenchmarkDocument, benchmarkSchema } from '../benchmark.ts';
import { fromBase64, parseJson, toBase64 } from '../encoding.ts';
import { PAYLOAD_TYPES, type ReadEnvelope, readEnvelope, verifiedSigner } from '../envelope.ts';
import { signingKeyId } from '../ids.ts';
import { envelopeHash } from '../receipt.ts';

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
