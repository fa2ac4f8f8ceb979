import { ENDPOINT } from '../wire/endpoint.ts';
import type { Prefix } from '../wire/prefix.ts';
import { NONE } from './memory.ts';

/**
 * Allowed-ips: which peer a destination address is routed to, and which peer a source address may
 * come from (paper section 2, cryptokey routing). Longest prefix wins; a prefix has one peer.
 */
export class AllowedIps {
  private readonly v4 = new PrefixTrie(1);
  private readonly v6 = new PrefixTrie(4);

  /** Number of prefixes. */
  get size(): number {
    return this.v4.size + this.v6.size;
  }

  /** Routes `prefix` to `peer`, taking it away from whichever peer had it. */
  insert(prefix: Prefix, peer: number): void {
    this.trie(prefix).insert(prefix, peer);
  }

  /** False if there was no such prefix. */
  remove(prefix: Prefix): boolean {
    return this.trie(prefix).remove(prefix);
  }

  /** Removes all prefixes of a peer, in time proportional to their number. */
  removePeer(peer: number): void {
    this.v4.removePeer(peer);
    this.v6.removePeer(peer);
  }

  /** Peer of the IPv4 address at byte `offset` of `view`, or NONE. */
  lookup4(view: DataView, offset: number): number {
    return this.v4.lookup1(view.getInt32(offset, false));
  }

  /** Peer of the IPv6 address at byte `offset` of `view`, or NONE. */
  lookup6(view: DataView, offset: number): number {
    return this.v6.lookup4(
      view.getInt32(offset, false),
      view.getInt32(offset + 4, false),
      view.getInt32(offset + 8, false),
      view.getInt32(offset + 12, false),
    );
  }

  /**
   * Whether the endpoint in ENDPOINT form at byte `offset` of `view` is routed to a peer by more than
   * a default route: that one has exceptions, or no tunnel would work with it, and the system's own
   * routing table knows them.
   */
  routesEndpoint(view: DataView, offset: number): boolean {
    const address = offset + ENDPOINT.address;
    if (view.getUint16(offset + ENDPOINT.family, true) === 4) {
      if (this.lookup4(view, address) === NONE) return false;
      return this.v4.longestMatch(view, address) >= DEFAULT_ROUTE_BELOW.v4;
    }
    if (this.lookup6(view, address) === NONE) return false;
    return this.v6.longestMatch(view, address) >= DEFAULT_ROUTE_BELOW.v6;
  }

  private trie(prefix: Prefix): PrefixTrie {
    const { address, length } = prefix;
    if (address.length !== 4 && address.length !== 16) {
      throw new RangeError('an allowed-ips address has 4 or 16 bytes');
    }
    if (!Number.isInteger(length) || length < 0 || length > address.length * 8) {
      throw new RangeError('allowed-ips prefix length out of range');
    }
    return address.length === 4 ? this.v4 : this.v6;
  }
}

/**
 * Own tuning, bits: shorter prefixes are default routes or their pieces (0.0.0.0/1, 2000::/3). No
 * network has one that short.
 */
const DEFAULT_ROUTE_BELOW = { v4: 8, v6: 8 };

// Words of a node behind its key.
const LENGTH = 0; // prefix length in bits
const CHILD0 = 1;
const CHILD1 = 2;
const PARENT = 3;
const PEER = 4; // NONE: a fork, or a free node
const NEXT = 5; // other prefixes of the same peer
const PREVIOUS = 6;
const NODE_WORDS = 7;

/**
 * A path-compressed binary trie. Nodes are records of one growing Int32Array, so that a lookup
 * touches one cache line a step and allocates nothing; node 0 means "none". Every node without a
 * peer has two children, so n prefixes never need more than 2n - 1 nodes. Nodes of one peer are
 * linked, so that removing a peer does not search.
 */
class PrefixTrie {
  size = 0;
  private readonly keyWords: number;
  private readonly stride: number;
  private nodes: Int32Array;
  private used = 1;
  private free = 0;
  private root = 0;
  private readonly firstOfPeer = new Map<number, number>();
  private readonly key: Int32Array;

  constructor(keyWords: 1 | 4) {
    this.keyWords = keyWords;
    this.stride = keyWords + NODE_WORDS;
    this.nodes = new Int32Array(this.stride * 16);
    this.key = new Int32Array(keyWords);
  }

  lookup1(address: number): number {
    const { nodes, stride } = this;
    let found = NONE;
    let at = this.root * stride;
    while (at !== 0) {
      const length = nodes[at + 1 + LENGTH]!;
      if (Math.clz32(nodes[at]! ^ address) < length) break;
      if (nodes[at + 1 + PEER] !== NONE) found = nodes[at + 1 + PEER]!;
      if (length === 32) break;
      at = nodes[at + 1 + CHILD0 + ((address >>> (31 - length)) & 1)]! * stride;
    }
    return found;
  }

  lookup4(word0: number, word1: number, word2: number, word3: number): number {
    const { nodes, stride } = this;
    let found = NONE;
    let at = this.root * stride;
    while (at !== 0) {
      const length = nodes[at + 4 + LENGTH]!;
      let common = Math.clz32(nodes[at]! ^ word0);
      if (common === 32 && length > 32) {
        common += Math.clz32(nodes[at + 1]! ^ word1);
        if (common === 64 && length > 64) {
          common += Math.clz32(nodes[at + 2]! ^ word2);
          if (common === 96 && length > 96) common += Math.clz32(nodes[at + 3]! ^ word3);
        }
      }
      if (common < length) break;
      if (nodes[at + 4 + PEER] !== NONE) found = nodes[at + 4 + PEER]!;
      if (length === 128) break;
      const word = length < 64 ? (length < 32 ? word0 : word1) : length < 96 ? word2 : word3;
      at = nodes[at + 4 + CHILD0 + ((word >>> (31 - (length & 31))) & 1)]! * stride;
    }
    return found;
  }

  /** Length in bits of the longest prefix with a peer that the address at `offset` has, or -1. */
  longestMatch(view: DataView, offset: number): number {
    for (let word = 0; word < this.keyWords; word++) {
      this.key[word] = view.getInt32(offset + word * 4, false);
    }
    let longest = -1;
    let node = this.root;
    while (node !== 0) {
      const length = this.get(node, LENGTH);
      if (this.commonBits(node) < length) break;
      if (this.get(node, PEER) !== NONE) longest = length;
      if (length === this.keyWords * 32) break;
      node = this.get(node, CHILD0 + this.bitOfKey(length));
    }
    return longest;
  }

  insert(prefix: Prefix, peer: number): void {
    this.setKey(prefix);
    let parent = 0;
    let node = this.root;
    while (node !== 0) {
      const common = Math.min(this.commonBits(node), prefix.length);
      const length = this.get(node, LENGTH);
      if (common < length) {
        const inserted = this.allocate(prefix.length);
        if (common === prefix.length) {
          this.replaceChild(parent, node, inserted);
          this.setChild(inserted, this.bitOfNode(node, common), node);
        } else {
          const fork = this.allocate(common);
          this.replaceChild(parent, node, fork);
          this.setChild(fork, this.bitOfNode(node, common), node);
          this.setChild(fork, this.bitOfKey(common), inserted);
        }
        this.assign(inserted, peer);
        return;
      }
      if (length === prefix.length) {
        this.unassign(node);
        this.assign(node, peer);
        return;
      }
      parent = node;
      node = this.get(node, CHILD0 + this.bitOfKey(length));
    }
    const inserted = this.allocate(prefix.length);
    if (parent === 0) this.root = inserted;
    else this.setChild(parent, this.bitOfKey(this.get(parent, LENGTH)), inserted);
    this.assign(inserted, peer);
  }

  remove(prefix: Prefix): boolean {
    this.setKey(prefix);
    let node = this.root;
    while (node !== 0) {
      const length = this.get(node, LENGTH);
      if (length > prefix.length || this.commonBits(node) < length) return false;
      if (length === prefix.length) {
        if (this.get(node, PEER) === NONE) return false;
        this.unassign(node);
        this.prune(node);
        return true;
      }
      node = this.get(node, CHILD0 + this.bitOfKey(length));
    }
    return false;
  }

  removePeer(peer: number): void {
    for (let node = this.firstOfPeer.get(peer); node !== undefined; ) {
      this.unassign(node);
      this.prune(node);
      node = this.firstOfPeer.get(peer);
    }
  }

  /** Takes a node without a peer out of the trie unless it is a fork. */
  private prune(node: number): void {
    const child0 = this.get(node, CHILD0);
    const child1 = this.get(node, CHILD1);
    if (child0 !== 0 && child1 !== 0) return;
    const parent = this.get(node, PARENT);
    this.replaceChild(parent, node, child0 !== 0 ? child0 : child1);
    this.release(node);
    if (parent !== 0 && this.get(parent, PEER) === NONE) this.prune(parent);
  }

  private assign(node: number, peer: number): void {
    this.set(node, PEER, peer);
    const first = this.firstOfPeer.get(peer) ?? 0;
    this.set(node, NEXT, first);
    this.set(node, PREVIOUS, 0);
    if (first !== 0) this.set(first, PREVIOUS, node);
    this.firstOfPeer.set(peer, node);
    this.size++;
  }

  private unassign(node: number): void {
    const peer = this.get(node, PEER);
    if (peer === NONE) return;
    const next = this.get(node, NEXT);
    const previous = this.get(node, PREVIOUS);
    if (next !== 0) this.set(next, PREVIOUS, previous);
    if (previous !== 0) this.set(previous, NEXT, next);
    else if (next !== 0) this.firstOfPeer.set(peer, next);
    else this.firstOfPeer.delete(peer);
    this.set(node, PEER, NONE);
    this.size--;
  }

  /** A new node with the first `length` bits of the current key. */
  private allocate(length: number): number {
    let node = this.free;
    if (node !== 0) {
      this.free = this.get(node, NEXT);
    } else {
      node = this.used++;
      if (this.used * this.stride > this.nodes.length) {
        const grown = new Int32Array(this.nodes.length * 2);
        grown.set(this.nodes);
        this.nodes = grown;
      }
    }
    const at = node * this.stride;
    for (let word = 0; word < this.keyWords; word++) {
      const bits = Math.min(32, Math.max(0, length - word * 32));
      const mask = bits === 0 ? 0 : -1 << (32 - bits);
      this.nodes[at + word] = this.key[word]! & mask;
    }
    this.nodes.fill(0, at + this.keyWords, at + this.stride);
    this.set(node, LENGTH, length);
    this.set(node, PEER, NONE);
    return node;
  }

  private release(node: number): void {
    this.set(node, NEXT, this.free);
    this.free = node;
  }

  private setKey(prefix: Prefix): void {
    const { address } = prefix;
    for (let word = 0; word < this.keyWords; word++) {
      const at = word * 4;
      this.key[word] =
        (address[at]! << 24) |
        (address[at + 1]! << 16) |
        (address[at + 2]! << 8) |
        address[at + 3]!;
    }
  }

  /** Leading bits that the node's key and the current key have in common. */
  private commonBits(node: number): number {
    const at = node * this.stride;
    for (let word = 0; word < this.keyWords; word++) {
      const difference = this.nodes[at + word]! ^ this.key[word]!;
      if (difference !== 0) return word * 32 + Math.clz32(difference);
    }
    return this.keyWords * 32;
  }

  private bitOfKey(bit: number): number {
    return (this.key[bit >> 5]! >>> (31 - (bit & 31))) & 1;
  }

  private bitOfNode(node: number, bit: number): number {
    return (this.nodes[node * this.stride + (bit >> 5)]! >>> (31 - (bit & 31))) & 1;
  }

  private setChild(parent: number, bit: number, child: number): void {
    this.set(parent, CHILD0 + bit, child);
    if (child !== 0) this.set(child, PARENT, parent);
  }

  private replaceChild(parent: number, child: number, by: number): void {
    if (by !== 0) this.set(by, PARENT, parent);
    if (parent === 0) this.root = by;
    else this.set(parent, this.get(parent, CHILD0) === child ? CHILD0 : CHILD1, by);
  }

  private get(node: number, field: number): number {
    return this.nodes[node * this.stride + this.keyWords + field]!;
  }

  private set(node: number, field: number, value: number): void {
    this.nodes[node * this.stride + this.keyWords + field] = value;
  }
}
