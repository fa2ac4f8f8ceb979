import type { Envelope } from '../contract/envelope.ts';
import type { Epoch, EpochVersion } from './epoch.ts';
import type { Score } from './policy.ts';

/** An enrolled node. */
export interface NodeRecord {
  readonly nodeId: string;
  /** Its key record, signed by itself. */
  readonly record: Envelope;
  /** Public keys, 32 bytes each. */
  readonly wireguard: Uint8Array;
  readonly signing: Uint8Array;
  readonly sealing: Uint8Array;
  readonly tunnelAddress: string;
  readonly endpoint: string | null;
  /** Controller's wall clock, ms. */
  readonly enrolledAt: number;
}

export interface TokenRecord {
  readonly id: string;
  /** 32 bytes. Erased when it is used or deleted. */
  readonly secret: Uint8Array;
  /** Only this node may use it; null: any. */
  readonly nodeId: string | null;
  readonly expiresAt: number;
  readonly usedAt: number | null;
}

/** An accepted observation, with the envelope as evidence. */
export interface BenchmarkRecord {
  readonly nodeId: string;
  readonly suite: string;
  /** `keyid` of who signed it. Sequences count per (signer, node, suite). */
  readonly signer: string;
  readonly sequence: number;
  readonly observedAt: number;
  readonly receivedAt: number;
  readonly score: number;
  readonly samples: number;
  readonly evidence: Envelope;
}

export type BenchmarkOutcome =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: 'sequence_replayed' | 'sequence_too_far'; last: number }
  | { readonly ok: false; readonly reason: 'observed_decreasing'; last: number }
  | { readonly ok: false; readonly reason: 'unknown_node'; last: 0 };

export type EnrolOutcome =
  | 'enrolled'
  | 'token_used'
  | 'node_exists'
  | 'key_in_use'
  | 'node_id_reserved'
  | 'addresses_exhausted';

/** How far a sequence may jump: a node that skips to the end would shut itself out for good. */
export const MAX_SEQUENCE_STEP = 1_000_000;

/**
 * The controller's memory. Every method is atomic and durable when its promise resolves. Written
 * so that a distributed store can implement it: whoever commits an epoch names the one it
 * believes to be the current one, and loses if it is not.
 */
export interface Store {
  currentEpoch(): Promise<Epoch | undefined>;
  /**
   * Compare-and-set: makes `next` the current epoch if `expected` is the current one (undefined:
   * there is none). In the same transaction the secret of the epoch before is erased. False if
   * somebody else was first.
   */
  commitEpoch(expected: EpochVersion | undefined, next: Epoch): Promise<boolean>;

  nodes(): Promise<NodeRecord[]>;
  node(nodeId: string): Promise<NodeRecord | undefined>;
  /**
   * Uses up the token and enrols the node, or does neither. `addresses` are tried in order; ids
   * and addresses released after `reservedSince` (ms) are not used again.
   */
  enrol(
    node: Omit<NodeRecord, 'tunnelAddress'>,
    tokenId: string,
    addresses: Iterable<string>,
    reservedSince: number,
  ): Promise<{ outcome: EnrolOutcome; node?: NodeRecord }>;
  /** Forgets the node, its scores and sequences; remembers id and address as released at `now`. */
  removeNode(nodeId: string, now: number): Promise<boolean>;

  addToken(token: TokenRecord): Promise<void>;
  token(id: string): Promise<TokenRecord | undefined>;
  /** Tokens that can still be used at `now`, without their secrets' use to anyone else. */
  openTokens(now: number): Promise<TokenRecord[]>;
  deleteToken(id: string): Promise<boolean>;

  recordBenchmark(benchmark: BenchmarkRecord): Promise<BenchmarkOutcome>;
  /** Newest score per node and suite. */
  scores(): Promise<Map<string, Map<string, Score>>>;
  /** Lets the node's signers start their sequences anew. False if there is no such node. */
  resetSequences(nodeId: string): Promise<boolean>;

  close(): Promise<void>;
}
