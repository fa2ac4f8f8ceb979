import type { CryptoProvider } from '../../crypto/provider.ts';
import { leafHash, MerkleTree } from '../../record/merkle.ts';
import { equalBytes } from '../encoding.ts';
import { NodeList } from '../node-list.ts';
import { encodeMemberEntry, type MemberEntry } from './member-entry.ts';

/** An entry with the bytes that say it and their hash as a leaf. */
export interface MemberLeaf {
  readonly nodeId: string;
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
  /** A leaf that stays as it is stays the same object. */
  readonly list: NodeList<MemberLeaf>;
  readonly root: Uint8Array;
  private readonly crypto: CryptoProvider;
  private readonly merkle: MerkleTree;

  private constructor(
    crypto: CryptoProvider,
    list: NodeList<MemberLeaf>,
    before?: { readonly tree: MembershipTree; readonly replaced: readonly number[] | undefined },
  ) {
    this.crypto = crypto;
    this.list = list;
    this.merkle = before?.replaced
      ? before.tree.merkle.with(before.replaced.map((place) => [place, list.items[place]!.hash]))
      : new MerkleTree(
          crypto,
          list.items.map((leaf) => leaf.hash),
          before?.tree.merkle,
        );
    this.root = this.merkle.root;
  }

  static empty(crypto: CryptoProvider): MembershipTree {
    return new MembershipTree(crypto, NodeList.of<MemberLeaf>([]));
  }

  get leaves(): readonly MemberLeaf[] {
    return this.list.items;
  }

  get count(): number {
    return this.list.size;
  }

  get(nodeId: string): MemberLeaf | undefined {
    return this.list.get(nodeId);
  }

  /** The membership of exactly these entries; of two for one id the later counts. */
  replacedBy(entries: readonly MemberEntry[]): MembershipTree {
    const list = NodeList.of(entries.map((entry) => this.leaf(entry)));
    return new MembershipTree(this.crypto, list, { tree: this, replaced: undefined });
  }

  /** This membership without `removed` and with `entries`, which are new or take the place of others. */
  with(removed: readonly string[], entries: readonly MemberEntry[]): MembershipTree {
    const leaves = entries.map((entry) => this.leaf(entry));
    const list = this.list.with(removed, leaves);
    // Where nobody comes or goes each leaf has the place that it had.
    const isSameNodes =
      removed.every((nodeId) => !this.list.has(nodeId)) &&
      leaves.every(({ nodeId }) => this.list.has(nodeId));
    const replaced = isSameNodes ? leaves.map(({ nodeId }) => list.placeOf(nodeId)) : undefined;
    return new MembershipTree(this.crypto, list, { tree: this, replaced });
  }

  changesSince(before: MembershipTree): MembershipChanges {
    const { removed, put } = this.list.changesSince(before.list);
    const added: string[] = [];
    const changed: string[] = [];
    for (const { nodeId, bytes } of put) {
      const known = before.get(nodeId);
      if (known === undefined) added.push(nodeId);
      else if (!equalBytes(known.bytes, bytes)) changed.push(nodeId);
    }
    return { removed: removed.map(({ nodeId }) => nodeId), added, changed };
  }

  /** What has not changed is not hashed again. */
  private leaf(entry: MemberEntry): MemberLeaf {
    const { nodeId } = entry;
    const bytes = encodeMemberEntry(entry);
    const known = this.list.get(nodeId);
    if (known && equalBytes(known.bytes, bytes)) return known;
    return { nodeId, entry, bytes, hash: leafHash(this.crypto, bytes) };
  }
}
