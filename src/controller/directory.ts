import { signingKeyId } from '../contract/ids.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { NodeRecord, Store } from './store/store.ts';

/** Who is enrolled, at hand: what the store says, read again when another controller changed it. */
export class NodeDirectory {
  /** Grows with every change in here. */
  changes = 0;

  private readonly store: Store;
  private readonly crypto: CryptoProvider;
  /** Of the store's roster: all up to it is in here. */
  private revision = -1;
  private byId = new Map<string, NodeRecord>();
  private byKeyId = new Map<string, NodeRecord>();
  private keyIds = new Map<string, string>();
  /** Ids by endpoint. No two nodes have one. */
  private byEndpoint = new Map<string, string>();
  private removedKeyIds = new Set<string>();

  constructor(store: Store, crypto: CryptoProvider) {
    this.store = store;
    this.crypto = crypto;
  }

  /** Enrolled nodes by id. */
  get nodes(): ReadonlyMap<string, NodeRecord> {
    return this.byId;
  }

  /** The node whose signing key has this `keyid`. */
  nodeOfKey(keyid: string): NodeRecord | undefined {
    return this.byKeyId.get(keyid);
  }

  /** `keyid` of an enrolled node's signing key. */
  keyIdOf(nodeId: string): string | undefined {
    return this.keyIds.get(nodeId);
  }

  /** Whether a node other than this one is reached there. */
  isElsewhere(endpoint: string, nodeId: string): boolean {
    const there = this.byEndpoint.get(endpoint);
    return there !== undefined && there !== nodeId;
  }

  /** Whether a key was that of a node which was removed. */
  wasRemoved(keyid: string): boolean {
    return this.removedKeyIds.has(keyid);
  }

  /** Reads what other controllers changed. The revision of the roster that is in here then. */
  async refresh(): Promise<number> {
    if ((await this.store.rosterRevision()) === this.revision) return this.revision;
    const { revision, nodes, removedKeys } = await this.store.roster();
    this.changes++;
    this.revision = revision;
    this.byId = new Map();
    this.byKeyId = new Map();
    this.keyIds = new Map();
    this.byEndpoint = new Map();
    for (const node of nodes) this.put(node);
    this.removedKeyIds = new Set(removedKeys.map((key) => signingKeyId(this.crypto, key)));
    return revision;
  }

  /** This controller enrolled the node or moved its endpoint, which made that `revision`. */
  changed(node: NodeRecord, revision: number): void {
    if (revision <= this.revision) return; // read meanwhile, and maybe changed again
    this.changes++;
    this.removedKeyIds.delete(signingKeyId(this.crypto, node.signing));
    this.put(node);
    this.follow(revision);
  }

  /** This controller committed an epoch without the node, which made that `revision`. */
  removed(nodeId: string, revision: number): void {
    const keyId = this.keyIds.get(nodeId);
    if (keyId !== undefined) {
      this.changes++;
      this.removedKeyIds.add(keyId);
      this.leave(nodeId);
      this.byId.delete(nodeId);
      this.byKeyId.delete(keyId);
      this.keyIds.delete(nodeId);
    }
    this.follow(revision);
  }

  /** After a gap, somebody else's change is missing in here: the next refresh reads everything. */
  private follow(revision: number): void {
    if (revision === this.revision + 1) this.revision = revision;
  }

  private leave(nodeId: string): void {
    const endpoint = this.byId.get(nodeId)?.endpoint ?? '';
    if (this.byEndpoint.get(endpoint) === nodeId) this.byEndpoint.delete(endpoint);
  }

  private put(node: NodeRecord): void {
    const keyId = signingKeyId(this.crypto, node.signing);
    this.leave(node.nodeId);
    if (node.endpoint !== null) this.byEndpoint.set(node.endpoint, node.nodeId);
    this.byId.set(node.nodeId, node);
    this.byKeyId.set(keyId, node);
    this.keyIds.set(node.nodeId, keyId);
  }
}
