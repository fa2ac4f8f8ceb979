import { equalBytes, fromBase64, toBase64Url } from '../contract/encoding.ts';
import { openChunk, rootOfChunks } from '../contract/epoch/chunks.ts';
import { decodeEntries } from '../contract/epoch/entry-list.ts';
import type { Header } from '../contract/epoch/header.ts';
import type { KeysAnswer, MembershipDelta } from '../contract/epoch/keys-answer.ts';
import type { MemberEntry } from '../contract/epoch/member-entry.ts';
import { MembershipTree } from '../contract/epoch/membership-tree.ts';
import type { CryptoProvider } from '../crypto/provider.ts';

/** Fetches a piece by its name (base64url); undefined: it is not kept. */
export type FetchPiece = (name: string) => Promise<Uint8Array | undefined>;

/**
 * The membership that this node holds. It goes from one header to the next by what has changed, or is
 * put together from chunks; nothing is taken whose root is not the header's.
 */
export class MemberTree {
  private readonly crypto: CryptoProvider;
  private held: { readonly version: number; readonly tree: MembershipTree } | undefined;

  constructor(crypto: CryptoProvider) {
    this.crypto = crypto;
  }

  /** Version of the membership held; undefined: none. */
  get version(): number | undefined {
    return this.held?.version;
  }

  /** The membership of this header, if it is the one held. */
  of({ document, membersRoot }: Header): MembershipTree | undefined {
    if (this.held === undefined || this.held.version !== document.version) return undefined;
    return equalBytes(this.held.tree.root, membersRoot) ? this.held.tree : undefined;
  }

  /** Goes to the membership of `header`. Undefined: what came does not lead there. */
  async goTo(
    header: Header,
    { delta, chunks }: Pick<KeysAnswer, 'delta' | 'chunks'>,
    fetchPiece: FetchPiece,
  ): Promise<MembershipTree | undefined> {
    const known = this.of(header);
    if (known !== undefined) return known;
    const tree = delta ? this.changed(delta) : await this.assembled(header, chunks, fetchPiece);
    if (tree?.count !== header.document.count) return undefined;
    if (!equalBytes(tree.root, header.membersRoot)) return undefined;
    this.held = { version: header.document.version, tree };
    return tree;
  }

  private changed(delta: MembershipDelta): MembershipTree | undefined {
    const bytes = fromBase64(delta.entries);
    const entries = bytes && decodeEntries(bytes);
    if (entries === undefined || this.held?.version !== delta.since) return undefined;
    const { tree } = this.held;
    for (const { node_id, endpoint, candidates } of delta.moved) {
      const known = tree.get(node_id);
      if (known === undefined) return undefined;
      const { candidates: _, ...rest } = known.entry;
      entries.push({ ...rest, endpoint, ...(candidates === undefined ? {} : { candidates }) });
    }
    return tree.with(delta.removed, entries);
  }

  /** Nothing is fetched before the names are known to be those of the header's tree. */
  private async assembled(
    { membersRoot }: Header,
    chunks: readonly string[] | null,
    fetchPiece: FetchPiece,
  ): Promise<MembershipTree | undefined> {
    const names = (chunks ?? []).map((name) => fromBase64(name, 32)!);
    if (!equalBytes(rootOfChunks(this.crypto, names), membersRoot)) return undefined;
    const entries: MemberEntry[] = [];
    for (const name of names) {
      const bytes = await fetchPiece(toBase64Url(name));
      const chunk = bytes && openChunk(this.crypto, name, bytes);
      if (chunk === undefined) return undefined;
      entries.push(...chunk);
    }
    const before = this.held?.tree ?? MembershipTree.empty(this.crypto);
    return before.replacedBy(entries);
  }
}
