import type { SignedScore } from '../../contract/record/evidence.ts';

/** A signed score of the log, about a node whose rows name it. */
export interface EvidenceAbout {
  readonly node: string;
  readonly signed: SignedScore;
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

/** Whose scores these are, and whether anybody signed them whose word counts; what no row names is left out. */
export function evidenceAbout(
  scores: readonly SignedScore[],
  { meshId, named, keysOf }: Believed,
): EvidenceAbout[] {
  return scores.flatMap((signed) => {
    const node = named.get(signed.hash);
    if (node === undefined) return [];
    const { document, signers } = signed;
    const isHere = document.mesh_id === meshId && document.node_id === node;
    const believed = isHere ? keysOf(node) : [];
    return [{ node, signed, signer: signers.find(({ key }) => believed.includes(key))?.id }];
  });
}
