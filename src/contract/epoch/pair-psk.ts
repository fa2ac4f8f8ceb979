import type { CryptoProvider } from '../../crypto/provider.ts';
import { concat, shortField, u64be } from '../encoding.ts';
import { compareNodeIds } from '../ids.ts';

const encoder = new TextEncoder();
const PAIR_LABEL = encoder.encode('aligned-meshnet pair v2\0');

/** One end of a pair. */
export interface PairEnd {
  readonly nodeId: string;
  /** X25519 public key, 32 bytes. */
  readonly wireguard: Uint8Array;
}

/** What all pairs of an epoch have in common. */
export interface PairContext {
  /** 32 bytes. */
  readonly meshId: Uint8Array;
  readonly epoch: number;
  /** 32 bytes: who was told of other members gets another key. */
  readonly membersRoot: Uint8Array;
}

/**
 * The pre-shared key (32 bytes) of a pair in an epoch, the same at both ends. `base` (32 bytes) comes
 * from the controller; `shared` (32 bytes) is the Diffie-Hellman of the two static WireGuard keys, which
 * the controller does not know. HMAC-SHA256(base, label || mesh_id || u64be(epoch) || members_root ||
 * u8(len) || id(lo) || u8(len) || id(hi) || wg(lo) || wg(hi) || shared), lo and hi in byte order.
 */
export function pairPsk(
  crypto: CryptoProvider,
  { meshId, epoch, membersRoot }: PairContext,
  base: Uint8Array,
  shared: Uint8Array,
  a: PairEnd,
  b: PairEnd,
): Uint8Array {
  const order = compareNodeIds(a.nodeId, b.nodeId);
  if (order === 0) throw new RangeError('a pair has two nodes');
  const [lo, hi] = order < 0 ? [a, b] : [b, a];
  for (const bytes of [meshId, membersRoot, base, shared, lo.wireguard, hi.wireguard]) {
    if (bytes.length !== 32) throw new RangeError('ids of meshes, roots and keys have 32 bytes');
  }
  return crypto.hmacSha256(
    base,
    concat(
      PAIR_LABEL,
      meshId,
      u64be(epoch),
      membersRoot,
      shortField(encoder.encode(lo.nodeId)),
      shortField(encoder.encode(hi.nodeId)),
      lo.wireguard,
      hi.wireguard,
      shared,
    ),
  );
}
