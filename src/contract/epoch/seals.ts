import type { CryptoProvider } from '../../crypto/provider.ts';
import { leafHash, verifyInclusion } from '../../record/merkle.ts';
import { MAX_PEERS } from '../config.ts';
import { concat, fromBase64, shortField, toBase64, u64be } from '../encoding.ts';
import { openEnvelope, PAYLOAD_TYPES } from '../envelope.ts';
import { bytes32Field, counterField, TO_MEMBERS } from '../fields.ts';
import { atLeast, type FromSchema } from '../from-schema.ts';
import { accepted, type Checked, rejected } from '../problems.ts';
import type { Header } from './header.ts';
import { SEAL_KINDS } from './seal-kinds.ts';

/**
 * What the bases of an epoch were sealed with: signed once for all members, after the header, which
 * waits for no sealing. Who is told another one than the others has keys that fit nobody's.
 */
export const sealsSchema = atLeast({
  mesh_id: bytes32Field,
  audience: { type: 'string', const: TO_MEMBERS },
  epoch: counterField,
  version: counterField,
  /** Base64 of the hash of the header that this belongs to. */
  header: bytes32Field,
  kind: { type: 'string', enum: SEAL_KINDS },
  /** Base64 of the X25519 public key that all bases are sealed with. */
  ephemeral: bytes32Field,
  /** Members, as in the header: the leaves of the tree. */
  count: { type: 'integer', minimum: 1, maximum: MAX_PEERS },
  /** Base64 of the root of the tree over all sealed bases. */
  root: bytes32Field,
});

export type SealsDocument = FromSchema<typeof sealsSchema>;

/** The seals of a header, with bytes for texts. */
export interface Seals {
  readonly document: SealsDocument;
  readonly ephemeral: Uint8Array;
  readonly root: Uint8Array;
}

/** Reads and verifies the seals that belong to `header`. */
export function openSeals(
  crypto: CryptoProvider,
  value: unknown,
  header: Header,
  signers: readonly Uint8Array[],
): Checked<Seals> {
  const opened = openEnvelope(crypto, value, PAYLOAD_TYPES.seals, sealsSchema, signers);
  if (!opened.ok) return opened;
  const { document } = opened.value;
  if (document.mesh_id !== header.document.mesh_id) return rejected('wrong_mesh');
  const { epoch, version, count } = header.document;
  const fits = document.epoch === epoch && document.version === version && document.count === count;
  if (!fits || document.header !== toBase64(header.hash)) {
    return rejected('invalid_field', { field: 'header', expected: 'the header of this epoch' });
  }
  return accepted({
    document,
    ephemeral: fromBase64(document.ephemeral, 32)!,
    root: fromBase64(document.root, 32)!,
  });
}

const encoder = new TextEncoder();
const KEY_LABEL = encoder.encode('aligned-meshnet seal v1\0');
const NOTHING = new Uint8Array(0);
/** Each key seals one text. */
const FIRST = 0n;

/** Whom a base is sealed for, and what it is bound to. */
export interface SealContext {
  readonly meshId: Uint8Array;
  readonly epoch: number;
  readonly version: number;
  /** Hash of the header, 32 bytes. */
  readonly header: Uint8Array;
  /** X25519 public keys, 32 bytes each. */
  readonly ephemeral: Uint8Array;
  readonly sealing: Uint8Array;
  readonly nodeId: string;
}

/**
 * Seals a member's base: ChaCha20-Poly1305 with nonce 0 and no additional data under
 * HMAC-SHA256(DH(ephemeral, sealing), label || mesh_id || u64be(epoch) || u64be(version) || header ||
 * ephemeral || sealing || u8(len) || node_id). `shared`: that Diffie-Hellman, 32 bytes.
 */
export function sealBase(
  crypto: CryptoProvider,
  shared: Uint8Array,
  context: SealContext,
  base: Uint8Array,
): Uint8Array {
  const key = sealKey(crypto, shared, context);
  try {
    return crypto.aeadSeal(key, FIRST, base, NOTHING);
  } finally {
    key.fill(0);
  }
}

/** The base, or undefined if it is not sealed for this node and context. */
export function openBase(
  crypto: CryptoProvider,
  shared: Uint8Array,
  context: SealContext,
  sealed: Uint8Array,
): Uint8Array | undefined {
  const key = sealKey(crypto, shared, context);
  try {
    return crypto.aeadOpen(key, FIRST, sealed, NOTHING);
  } finally {
    key.fill(0);
  }
}

function sealKey(crypto: CryptoProvider, shared: Uint8Array, context: SealContext): Uint8Array {
  const { meshId, epoch, version, header, ephemeral, sealing, nodeId } = context;
  return crypto.hmacSha256(
    shared,
    concat(
      KEY_LABEL,
      meshId,
      u64be(epoch),
      u64be(version),
      header,
      ephemeral,
      sealing,
      shortField(encoder.encode(nodeId)),
    ),
  );
}

/** Leaf hash (32 bytes) of a sealed base; the leaves are in the order of the members. */
export function sealLeaf(crypto: CryptoProvider, nodeId: string, sealed: Uint8Array): Uint8Array {
  return leafHash(crypto, concat(shortField(encoder.encode(nodeId)), sealed));
}

/** Whether `sealed` is what the controller made for the member `nodeId` at `index`. */
export function isSealOf(
  crypto: CryptoProvider,
  { document, root }: Seals,
  { nodeId, index }: { readonly nodeId: string; readonly index: number },
  sealed: Uint8Array,
  proof: readonly Uint8Array[],
): boolean {
  const leaf = sealLeaf(crypto, nodeId, sealed);
  return verifyInclusion(crypto, leaf, index, document.count, proof, root);
}
