import { concat, u64be } from '../contract/encoding.ts';
import { compareNodeIds } from '../contract/ids.ts';
import type { CryptoProvider } from '../crypto/provider.ts';

const encoder = new TextEncoder();
const PAIR_LABEL = encoder.encode('aligned-meshnet pair v1\0');

export interface PskNode {
  readonly nodeId: string;
  /** X25519 public key, 32 bytes. */
  readonly wireguard: Uint8Array;
}

/** What all keys of an epoch come from: `secret` is 32 random bytes used for nothing else. */
export interface PskEpoch {
  readonly meshId: Uint8Array;
  readonly epoch: number;
  readonly secret: Uint8Array;
}

/** node_psk(i) = HMAC-SHA256(epoch_secret, node_id_i). Never leaves the controller. */
export function nodePsk(crypto: CryptoProvider, secret: Uint8Array, nodeId: string): Uint8Array {
  return crypto.hmacSha256(secret, encoder.encode(nodeId));
}

/**
 * The pre-shared key (32 bytes) of a pair in an epoch, the same whichever way round:
 * HMAC-SHA256(node_psk(lo), label || mesh_id || u64be(epoch) || wg(lo) || wg(hi) || id(hi)),
 * where lo and hi are the two ids in byte order.
 */
export function pairPsk(
  crypto: CryptoProvider,
  epoch: PskEpoch,
  a: PskNode,
  b: PskNode,
): Uint8Array {
  const [lo, hi] = compareNodeIds(a.nodeId, b.nodeId) < 0 ? [a, b] : [b, a];
  const seed = nodePsk(crypto, epoch.secret, lo.nodeId);
  const psk = crypto.hmacSha256(
    seed,
    concat(
      PAIR_LABEL,
      epoch.meshId,
      u64be(epoch.epoch),
      lo.wireguard,
      hi.wireguard,
      encoder.encode(hi.nodeId),
    ),
  );
  seed.fill(0);
  return psk;
}
