import { type Evidence, parseEvidence, signerOf } from '../../contract/record/evidence.ts';
import type { CryptoProvider } from '../../crypto/provider.ts';

/** A signed score of the log, about a node whose rows name it. */
export interface EvidenceAbout {
  readonly node: string;
  readonly evidence: Evidence;
  /** keyid; undefined: none of those whose word counts. */
  readonly signer: string | undefined;
}

export interface Believed {
  /** Base64 of 32 bytes. */
  readonly meshId: string;
  /** Which node rows name a score for, by its hash. */
  readonly named: ReadonlyMap<string, string>;
  /** Base64 of the keys whose word about a node counts. */
  readonly keysOf: (node: string) => readonly string[];
}

/** Reads lines of evidence, and whose they are; what no row names is left out. */
export function evidenceAbout(
  crypto: CryptoProvider,
  lines: readonly Uint8Array[],
  { meshId, named, keysOf }: Believed,
): EvidenceAbout[] {
  return lines.flatMap((line) => {
    const evidence = parseEvidence(crypto, line);
    const node = evidence && named.get(evidence.hash);
    if (evidence === undefined || node === undefined) return [];
    const { document } = evidence.read;
    const isHere = document.mesh_id === meshId && document.node_id === node;
    const signer = isHere ? signerOf(crypto, evidence, keysOf(node)) : undefined;
    return [{ node, evidence, signer }];
  });
}
