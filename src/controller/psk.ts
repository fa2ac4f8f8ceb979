import { concat, u64be } from '../contract/encoding.ts';
import { compareNodeIds } from '../contract/ids.ts';
import type { CryptoProvider } from '../crypto/provider.ts';

const encoder = new TextEncoder();
const PAIR_LABEL = encoder.encode('aligned-meshnet pair v1\0');
/** No node id has a space or a zero byte: this is nobody's node_psk. */
const GROUP_LABEL = encoder.encode('aligned-meshnet group v1\0');

export interface PskNode {
  readonly nodeId: string;
  /** X25519 public key, 32 bytes. */
  readonly wireguard: Uint8Array;
}

/** node_psk(i) = HMAC-SHA256(epoch_secret, node_id_i). Never leaves the controller. */
export function nodePsk(crypto: CryptoProvider, secret: Uint8Array, nodeId: string): Uint8Array {
  return crypto.hmacSha256(secret, encoder.encode(nodeId));
}

/**
 * The pre-shared key (32 bytes) of a pair in an epoch, the same whichever way round:
 * HMAC-SHA256(node_psk(lo), label || mesh_id || u64be(epoch) || wg(lo) || wg(hi) || id(hi)),
 * where lo and hi are the two ids in byte order. `seedOf` gives node_psk.
 */
export function pairPsk(
  crypto: CryptoProvider,
  meshId: Uint8Array,
  epoch: number,
  seedOf: (nodeId: string) => Uint8Array,
  a: PskNode,
  b: PskNode,
): Uint8Array {
  const order = compareNodeIds(a.nodeId, b.nodeId);
  if (order === 0) throw new RangeError('a pair has two nodes');
  for (const bytes of [meshId, a.wireguard, b.wireguard]) {
    // The fields are not delimited: only their fixed lengths keep two inputs from being the same.
    if (bytes.length !== 32) throw new RangeError('mesh id and public keys have 32 bytes');
  }
  const [lo, hi] = order < 0 ? [a, b] : [b, a];
  const head = concat(PAIR_LABEL, meshId, u64be(epoch), lo.wireguard, hi.wireguard);
  return crypto.hmacSha256(seedOf(lo.nodeId), head, encoder.encode(hi.nodeId));
}

/** The keys of one epoch, derived as they are asked for, until `erase`. */
export class EpochKeys {
  private readonly crypto: CryptoProvider;
  private readonly meshId: Uint8Array;
  private readonly epoch: number;
  private readonly secret: Uint8Array;
  private readonly seeds = new Map<string, Uint8Array>();
  private isErased = false;

  /** `secret`: 32 random bytes used for nothing else; zeroed by `erase`. */
  constructor(crypto: CryptoProvider, meshId: Uint8Array, epoch: number, secret: Uint8Array) {
    this.crypto = crypto;
    this.meshId = meshId;
    this.epoch = epoch;
    this.secret = secret;
  }

  /** The keys of `node` with each of `peers`, 32 bytes each; the caller zeroes them. */
  pairs(node: PskNode, peers: readonly PskNode[]): Uint8Array[] {
    // Keys derived from a zeroed secret would be known to everyone.
    if (this.isErased) throw new Error('the epoch is over');
    const seedOf = (nodeId: string) => this.seed(nodeId);
    return peers.map((peer) => pairPsk(this.crypto, this.meshId, this.epoch, seedOf, node, peer));
  }

  /** The base (32 bytes) that all members of the epoch are told in kind `group`; the caller zeroes it. */
  group(): Uint8Array {
    if (this.isErased) throw new Error('the epoch is over');
    return this.crypto.hmacSha256(this.secret, GROUP_LABEL, this.meshId, u64be(this.epoch));
  }

  erase(): void {
    this.isErased = true;
    this.secret.fill(0);
    for (const seed of this.seeds.values()) seed.fill(0);
    this.seeds.clear();
  }

  private seed(nodeId: string): Uint8Array {
    let seed = this.seeds.get(nodeId);
    if (seed === undefined) {
      seed = nodePsk(this.crypto, this.secret, nodeId);
      this.seeds.set(nodeId, seed);
    }
    return seed;
  }
}
