import type { CryptoProvider } from '../../crypto/provider.ts';
import { leafHash, MerkleTree } from '../../record/merkle.ts';
import { equalBytes } from '../encoding.ts';
import { compareNodeIds } from '../ids.ts';
import { encodeMemberEntry, type MemberEntry } from './member-entry.ts';

/** An entry with the bytes that say it and their hash as a leaf. */
export interface MemberLeaf {
  readonly entry: MemberEntry;
  readonly bytes: Uint8Array;
  readonly hash: Uint8Array;
}

/** How a membership differs from the one before; ids in byte order. */
export interface MembershipChanges {
  readonly removed: readonly string[];
  readonly added: readonly string[];
  readonly changed: readonly string[];
}

/** All members of one epoch, in byte order of their ids, as a Merkle tree (RFC 6962). Immutable. */
export class MembershipTree {
  readonly leaves: readonly MemberLeaf[];
  readonly root: Uint8Array;
  private readonly crypto: CryptoProvider;
  private readonly byId: ReadonlyMap<string, MemberLeaf>;
  private readonly merkle: MerkleTree;

  private constructor(
    crypto: CryptoProvider,
    byId: ReadonlyMap<string, MemberLeaf>,
    before?: MembershipTree,
  ) {
    this.crypto = crypto;
    this.byId = byId;
    this.leaves = [...byId.values()].sort((a, b) => compareNodeIds(a.entry.nodeId, b.entry.nodeId));
    const hashes = this.leaves.map((leaf) => leaf.hash);
    this.merkle = new MerkleTree(crypto, hashes, before?.merkle);
    this.root = this.merkle.root;
  }

  static empty(crypto: CryptoProvider): MembershipTree {
    return new MembershipTree(crypto, new Map());
  }

  get count(): number {
    return this.leaves.length;
  }

  get(nodeId: string): MemberLeaf | undefined {
    return this.byId.get(nodeId);
  }

  /** The membership of exactly these entries; of two for one id the later counts. */
  replacedBy(entries: readonly MemberEntry[]): MembershipTree {
    const byId = new Map<string, MemberLeaf>();
    for (const entry of entries) byId.set(entry.nodeId, this.leaf(entry));
    return new MembershipTree(this.crypto, byId, this);
  }

  /** This membership without `removed` and with `entries`, which are new or take the place of others. */
  with(removed: readonly string[], entries: readonly MemberEntry[]): MembershipTree {
    const byId = new Map(this.byId);
    for (const nodeId of removed) byId.delete(nodeId);
    for (const entry of entries) byId.set(entry.nodeId, this.leaf(entry));
    return new MembershipTree(this.crypto, byId, this);
  }

  changesSince(before: MembershipTree): MembershipChanges {
    const added: string[] = [];
    const changed: string[] = [];
    for (const { entry, bytes } of this.leaves) {
      const known = before.get(entry.nodeId);
      if (known === undefined) added.push(entry.nodeId);
      else if (!equalBytes(known.bytes, bytes)) changed.push(entry.nodeId);
    }
    const gone = before.leaves.filter(({ entry }) => !this.byId.has(entry.nodeId));
    return { removed: gone.map(({ entry }) => entry.nodeId), added, changed };
  }

  /** What has not changed is not hashed again. */
  private leaf(entry: MemberEntry): MemberLeaf {
    const bytes = encodeMemberEntry(entry);
    const known = this.byId.get(entry.nodeId);
    if (known && equalBytes(known.bytes, bytes)) return known;
    return { entry, bytes, hash: leafHash(this.crypto, bytes) };
  }
}
