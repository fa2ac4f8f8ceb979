import { concat, toBase64 } from '../contract/encoding.ts';
import { type Envelope, PAYLOAD_TYPES, signEnvelope } from '../contract/envelope.ts';
import type { MemberEntry } from '../contract/epoch/member-entry.ts';
import type { SealKind } from '../contract/epoch/seal-kinds.ts';
import { type SealsDocument, sealBase, sealLeaf } from '../contract/epoch/seals.ts';
import { TO_MEMBERS } from '../contract/fields.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { MerkleTree } from '../record/merkle.ts';
import type { EpochView } from './epoch-view.ts';
import type { EpochKeys } from './psk.ts';

export interface EpochSealsOptions {
  readonly crypto: CryptoProvider;
  readonly random: RandomBytes;
  readonly meshId: Uint8Array;
  readonly signingSeed: Uint8Array;
}

/** The bases of one epoch, each sealed for one member, under one signature. */
export interface SealedEpoch {
  readonly seals: Envelope;
  /** By the places of the members. */
  readonly sealed: readonly Uint8Array[];
  readonly tree: MerkleTree;
}

/** Sealing goes on for so long (ms) before others have a turn. */
const SLICE_MS = 10;

/** Seals the keys of each epoch once, when they are first asked for. */
export class EpochSeals {
  private readonly options: EpochSealsOptions;
  private newest: { readonly of: EpochKeys; readonly made: Promise<SealedEpoch> } | undefined;

  constructor(options: EpochSealsOptions) {
    this.options = options;
  }

  /**
   * Undefined where the keys of the epoch are in its configs. Rejects once the epoch is over, for its
   * keys are erased then.
   */
  of(view: EpochView, keys: EpochKeys): Promise<SealedEpoch> | undefined {
    const kind = view.document.keys;
    if (kind === 'config') return undefined;
    if (this.newest?.of !== keys) this.newest = { of: keys, made: this.make(view, keys, kind) };
    return this.newest.made;
  }

  private async make(view: EpochView, keys: EpochKeys, kind: SealKind): Promise<SealedEpoch> {
    const { crypto, random, meshId, signingSeed } = this.options;
    const { members } = view.header;
    const { epoch, version } = view.document;
    const privateKey = random(32);
    const ephemeralKey = crypto.x25519PrivateKey(privateKey);
    privateKey.fill(0);
    const ephemeral = ephemeralKey.publicKey;
    const common = { meshId, epoch, version, header: view.hash, ephemeral };
    const sealed: Uint8Array[] = [];
    try {
      let since = performance.now();
      for (const member of members) {
        if (performance.now() - since > SLICE_MS) {
          await new Promise((resolve) => setImmediate(resolve));
          since = performance.now();
        }
        const base = baseOf(keys, kind, member, members);
        const shared = ephemeralKey.agree(member.sealing)!; // full order: it was checked at enrolment
        const { nodeId, sealing } = member;
        sealed.push(sealBase(crypto, shared, { ...common, sealing, nodeId }, base));
        base.fill(0);
        shared.fill(0);
      }
    } finally {
      ephemeralKey.zeroize();
    }
    const leaves = members.map(({ nodeId }, i) => sealLeaf(crypto, nodeId, sealed[i]!));
    const tree = new MerkleTree(crypto, leaves);
    const document: SealsDocument = {
      mesh_id: toBase64(meshId),
      audience: TO_MEMBERS,
      epoch,
      version,
      header: toBase64(view.hash),
      kind,
      ephemeral: toBase64(ephemeral),
      count: members.length,
      root: toBase64(tree.root),
    };
    return {
      seals: signEnvelope(crypto, signingSeed, PAYLOAD_TYPES.seals, document),
      sealed,
      tree,
    };
  }
}

/** In kind `pairwise` one base for each other member, in their order; in kind `group` the one for all. */
function baseOf(
  keys: EpochKeys,
  kind: SealKind,
  member: MemberEntry,
  members: readonly MemberEntry[],
): Uint8Array {
  if (kind === 'group') return keys.group();
  const bases = keys.pairs(
    member,
    members.filter((other) => other !== member),
  );
  const row = concat(...bases);
  for (const base of bases) base.fill(0);
  return row;
}
