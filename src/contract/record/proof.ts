import type { CryptoProvider } from '../../crypto/provider.ts';
import { leafHash, MerkleTree, verifyInclusion } from '../../record/merkle.ts';
import { equalBytes, fromBase64, toBase64 } from '../encoding.ts';
import { type Envelope, envelopeSchema } from '../envelope.ts';
import { bytes32Field, counterField } from '../fields.ts';
import { exactly, type FromSchema } from '../from-schema.ts';
import { controllerFingerprint } from '../ids.ts';
import { violation } from '../schema.ts';
import { type Leaf, parseLeaf } from './leaf.ts';
import { type MeshCheckpoint, openMeshCheckpoint } from './mesh-checkpoint.ts';
import { seriesOf } from './origin.ts';
import { lineHash, parseVerdictRow, type VerdictRow } from './verdict-row.ts';

/** Content of a leaf (base64) with its place in a tree and the hashes that lead to the root. */
const includedSchema = exactly({
  index: counterField,
  content: { type: 'string', maxLength: 1_000_000, description: 'base64' },
  proof: { type: 'array', maxItems: 64, items: bytes32Field },
});

export type Included = FromSchema<typeof includedSchema>;

/**
 * One verdict with all that shows it to be in the log and to be right: whoever knows the mesh's id
 * needs nothing else, and nobody's word.
 */
export const proofSchema = exactly({
  format: { type: 'string', const: 'aligned-meshnet-verdict-proof-v1' },
  /** Whose fingerprint the mesh id is. */
  controller_key: bytes32Field,
  /** Signed note, with the witnesses' cosignatures. */
  checkpoint: { type: 'string', maxLength: 100_000 },
  /** Of the log: the epoch, the policy that it was judged by, and the node's enrolment. */
  epoch: includedSchema,
  policy: includedSchema,
  enrolment: includedSchema,
  /** Of the tree that the epoch's leaf names. */
  row: includedSchema,
  /** Score envelopes that the row names. */
  evidence: { type: 'array', maxItems: 4096, items: envelopeSchema },
});

export type ProofDocument = FromSchema<typeof proofSchema>;

/** What a proof is made of, besides the row. */
export interface ProofParts
  extends Pick<ProofDocument, 'checkpoint' | 'epoch' | 'policy' | 'enrolment' | 'evidence'> {
  /** 32 bytes. */
  readonly controllerKey: Uint8Array;
}

/** `lines`: all rows of the epoch, or hashes of those that are withheld; `place`: of the one that is shown. */
export function verdictProof(
  crypto: CryptoProvider,
  lines: readonly Uint8Array[],
  place: number,
  { controllerKey, checkpoint, epoch, policy, enrolment, evidence }: ProofParts,
): ProofDocument {
  const tree = new MerkleTree(
    crypto,
    lines.map((line) => lineHash(crypto, line)),
  );
  return {
    format: 'aligned-meshnet-verdict-proof-v1',
    controller_key: toBase64(controllerKey),
    checkpoint,
    epoch,
    policy,
    enrolment,
    row: included(place, lines[place]!, tree.inclusionProof(place)),
    evidence,
  };
}

export function included(
  index: number,
  content: Uint8Array,
  proof: readonly Uint8Array[],
): Included {
  return { index, content: toBase64(content), proof: proof.map(toBase64) };
}

/** What a proof says, once every hash and the signature of the checkpoint are as they must be. */
export interface OpenedProof {
  readonly checkpoint: MeshCheckpoint;
  readonly epoch: Extract<Leaf, { event: 'epoch' }>;
  readonly policy: Extract<Leaf, { event: 'policy' }>;
  readonly enrolment: Extract<Leaf, { event: 'enrolled' }>;
  readonly row: VerdictRow;
  readonly evidence: readonly Envelope[];
}

/** Opens a proof for somebody who knows the mesh's id (32 bytes). A string: what is wrong with it. */
export function openProof(
  crypto: CryptoProvider,
  meshId: Uint8Array,
  value: unknown,
): OpenedProof | string {
  const bad = violation(proofSchema, value);
  if (bad) return `${bad.field || 'the file'}: expected ${bad.expected}`;
  const document = value as ProofDocument;
  const controllerKey = fromBase64(document.controller_key, 32)!;
  if (!equalBytes(controllerFingerprint(crypto, controllerKey), meshId)) {
    return 'controller_key: is not the key of this mesh';
  }
  const origin = document.checkpoint.split('\n', 1)[0]!;
  if (seriesOf(meshId, origin) === undefined) return 'checkpoint: of another log';
  const checkpoint = openMeshCheckpoint(crypto, { meshId, controllerKey }, document.checkpoint);
  if (checkpoint === undefined) return 'checkpoint: is not signed by the mesh';
  const leafOf = <E extends Leaf['event']>(event: E, one: Included) => {
    const content = contentOf(crypto, one, checkpoint.size, checkpoint.root);
    const leaf = content && parseLeaf(content);
    return leaf?.event === event ? (leaf as Extract<Leaf, { event: E }>) : undefined;
  };
  const epoch = leafOf('epoch', document.epoch);
  if (epoch === undefined) return 'epoch: is not in the log';
  const policy = leafOf('policy', document.policy);
  if (policy === undefined || policy.hash !== epoch.policy)
    return 'policy: is not that of the epoch';
  const { count, root } = epoch.verdicts;
  const content = contentOf(crypto, document.row, count, fromBase64(root, 32)!);
  const row = content && parseVerdictRow(content);
  if (row === undefined) return 'row: is not one of the epoch';
  const enrolment = leafOf('enrolled', document.enrolment);
  if (enrolment?.node !== row.node || document.enrolment.index > document.epoch.index) {
    return 'enrolment: is not that of the node';
  }
  return { checkpoint, epoch, policy, enrolment, row, evidence: document.evidence };
}

/** The content, if it is in that place of the tree. */
function contentOf(
  crypto: CryptoProvider,
  { index, content, proof }: Included,
  size: number,
  root: Uint8Array,
): Uint8Array | undefined {
  const bytes = fromBase64(content);
  const hashes = proof.map((hash) => fromBase64(hash, 32)!);
  if (bytes === undefined) return undefined;
  const isIncluded = verifyInclusion(crypto, leafHash(crypto, bytes), index, size, hashes, root);
  return isIncluded ? bytes : undefined;
}
