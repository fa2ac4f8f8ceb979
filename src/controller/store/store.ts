import type { Role } from '../../contract/access.ts';
import type { Envelope } from '../../contract/envelope.ts';
import type { Decision, Epoch, EpochVersion, NodeVerdict } from '../epoch.ts';
import type { Score, Verdict } from '../policy.ts';
import type { LogStore, RecordedEpoch } from './log-store.ts';

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
  /** Where it may be as well; none without an endpoint. */
  readonly candidates?: readonly string[];
  /** Controller's clock, ms. */
  readonly enrolledAt: number;
  /** An ephemeral node: removed when nothing was heard of it for so long, seconds. */
  readonly silenceS?: number;
}

/** Where a node may be reached. */
export type Places = Pick<NodeRecord, 'endpoint' | 'candidates'>;

/** Whether two say the same of where a node is. */
export function samePlaces(a: Places, b: Places): boolean {
  return a.endpoint === b.endpoint && a.candidates?.join() === b.candidates?.join();
}

export interface TokenRecord {
  readonly id: string;
  /** 32 bytes; undefined once it is used up, and from the first epoch after its expiry. */
  readonly secret: Uint8Array | undefined;
  /** Only this node may use it; null: any. */
  readonly nodeId: string | null;
  readonly expiresAt: number;
  /** How many nodes may still use it; null: as many as come. */
  readonly usesLeft: number | null;
  /** Only nodes of such names: see `matchesNames`. */
  readonly names?: string;
  /** Only nodes of this group of the policy. */
  readonly group?: string;
  /** Nodes that it enrols are ephemeral: see `NodeRecord`. */
  readonly silenceS?: number;
}

export interface AccessTokenRecord {
  readonly id: string;
  /** No two have the same. */
  readonly name: string;
  readonly role: Role;
  /** 32 bytes: see `accessHash`. */
  readonly hash: Uint8Array;
  readonly createdAt: number;
  /** Null: when it is revoked. */
  readonly expiresAt: number | null;
}

/** An accepted observation, with the envelope as evidence. */
export interface BenchmarkRecord extends Score {
  readonly nodeId: string;
  /** Sequences count per (signer, node, suite). */
  readonly sequence: number;
  readonly evidence: Envelope;
}

export type BenchmarkOutcome =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: 'unknown_node' }
  | {
      readonly ok: false;
      readonly reason: 'sequence_replayed' | 'sequence_too_far' | 'observed_decreasing';
      /** Last accepted sequence, 0 if there is none. */
      readonly last: number;
    };

export type EnrolResult =
  /** `revision`: of the roster with this node. */
  | { readonly outcome: 'enrolled'; readonly node: NodeRecord; readonly revision: number }
  /** Controller's clock, ms, until when the name is not given again. */
  | { readonly outcome: 'node_id_reserved'; readonly reservedUntil: number }
  | {
      readonly outcome: 'token_used' | 'node_exists' | 'key_in_use' | 'addresses_exhausted';
    };

/** Addresses to give out, in order. An array is one. */
export interface AddressPool {
  readonly length: number;
  at(i: number): string | undefined;
}

/** A node that ceases to exist in the step that commits an epoch without it. */
export interface Removal {
  readonly nodeId: string;
  /** Controller's clock, ms: until then nobody gets its id, address or keys. */
  readonly reservedUntil: number;
}

/** Who is enrolled. */
export interface Roster {
  /** Grows with every enrolment, removal and change of an endpoint, by whatever controller. */
  readonly revision: number;
  /** By id, ascending. */
  readonly nodes: readonly NodeRecord[];
  /** Signing keys, 32 bytes each, of the nodes that were removed last and did not enrol again. */
  readonly removedKeys: readonly Uint8Array[];
}

/** What goes into the step that commits an epoch, besides the epoch. */
export interface EpochStep {
  readonly removals?: readonly Removal[];
  /** Revision of the roster that was judged: the step is only taken if it still is the one. */
  readonly revision?: number;
  /** What the policy said of each node, for the history. */
  readonly verdicts?: ReadonlyMap<string, NodeVerdict>;
  /** For the log. */
  readonly record?: RecordedEpoch;
}

/** What the policy saw of a node, and made of it. */
export type VerdictInputs = Pick<Verdict, 'score' | 'ageS' | 'suites'> & {
  /** The policy's own word; the epoch may have decided otherwise, its reason says why. */
  readonly passed: boolean;
};

/** What an epoch said about one node, and from what. */
export interface VerdictRecord extends EpochVersion, Decision {
  /** Controller's clock, ms. */
  readonly startedAt: number;
  /** Null where the policy was not asked. */
  readonly inputs: VerdictInputs | null;
}

/** So many removed nodes are told that they were; those who were removed earlier are strangers. */
export const MAX_REMOVED_KEYS = 10_000;

/** How far a sequence may jump: a node that skips to the end would shut itself out for good. */
export const MAX_SEQUENCE_STEP = 1_000_000;

/**
 * The controller's memory. Every method is one condition and one change, both or neither, and is
 * durable when its promise resolves: what SQLite does in a transaction, etcd does in a Txn. Nobody
 * relies on being the only writer: whoever commits an epoch names the one it believes to be the
 * current one, and loses if it is not. Times are of the controller's clock, ms.
 */
export interface ScorePage {
  readonly scores: readonly (Score & { readonly nodeId: string })[];
  /** Where it ended; null: there are no more. */
  readonly end: number | null;
}

export interface Store extends LogStore {
  /** The mesh (32 bytes) that this store belongs to; undefined while it is new. */
  mesh(): Promise<Uint8Array | undefined>;
  /** Makes a new store that mesh's; false if it belongs to another. */
  claim(meshId: Uint8Array): Promise<boolean>;

  /** The secret in it is a copy of its own. */
  currentEpoch(): Promise<Epoch | undefined>;
  /**
   * Compare-and-set: makes `next` the current epoch if `expected` is the current one (undefined:
   * there is none). In the same transaction the secret of the epoch before is erased, what was
   * decided about each node goes into the history, and each node of `removals` is forgotten with its
   * newest scores, but not its history; the header of `next` is kept with it. A removal makes the
   * roster's revision one more. False if somebody else was first: there is another epoch, or another
   * roster than the one that was judged.
   */
  commitEpoch(expected: EpochVersion | undefined, next: Epoch, step?: EpochStep): Promise<boolean>;
  /** The signed header of an epoch. Those of the last day of epochs of a minute are kept, at least. */
  header(epoch: number): Promise<Envelope | undefined>;
  /**
   * Rids the medium of erased secrets where erasing alone leaves copies (false: not all yet), and
   * of some of the history that is past its time. Called after each epoch.
   */
  scrub(): Promise<boolean>;

  roster(): Promise<Roster>;
  rosterRevision(): Promise<number>;
  node(nodeId: string): Promise<NodeRecord | undefined>;
  /**
   * Takes one use of the token and enrols the node, as what the token makes it; or does neither.
   * `addresses` are tried in order.
   */
  enrol(
    node: Omit<NodeRecord, 'tunnelAddress'>,
    tokenId: string,
    addresses: AddressPool,
  ): Promise<EnrolResult>;

  /**
   * Where the node may be reached from now (`at`) on. The roster's revision with that; undefined:
   * there is no such node.
   */
  setPlaces(nodeId: string, places: Places, at: number): Promise<number | undefined>;

  /** Also forgets the tokens that expired before `forgetBefore`. */
  addToken(token: TokenRecord, forgetBefore: number): Promise<void>;
  token(id: string): Promise<TokenRecord | undefined>;
  /** Tokens that can still be used at `now`, without their secrets. */
  openTokens(now: number): Promise<Omit<TokenRecord, 'secret'>[]>;
  /** The token that enrolled this node. */
  tokenOf(nodeId: string): Promise<string | undefined>;
  /** False if there is no such token, or it is used up. */
  deleteToken(id: string): Promise<boolean>;

  /** Also forgets those that expired before it. False: its name is in use. */
  addAccessToken(token: AccessTokenRecord): Promise<boolean>;
  /** Also one that has expired. */
  accessToken(id: string): Promise<AccessTokenRecord | undefined>;
  /** Those that can still be used at `now`, by name. */
  accessTokens(now: number): Promise<AccessTokenRecord[]>;
  /** False if there is no such token. */
  deleteAccessToken(id: string): Promise<boolean>;

  /** Also into the history, in the same transaction. */
  recordBenchmark(benchmark: BenchmarkRecord): Promise<BenchmarkOutcome>;
  /** Newest score of each signer about each node, by node. */
  scores(): Promise<Map<string, Score[]>>;
  scoresOf(nodeId: string): Promise<Score[]>;
  /**
   * Lets the sequences about a node start anew. Observation times still never decrease, so no old
   * score comes back. False if there is no such node.
   */
  resetSequences(nodeId: string, at: number): Promise<boolean>;

  /**
   * Every score received at `sinceMs` or later about each enrolled node, by node, oldest first. What
   * was said of a node that had the same name before is not among them.
   */
  scoresSince(sinceMs: number): Promise<Map<string, Score[]>>;
  /**
   * At most `limit` of the same scores, those of all nodes together, the last accepted first; `before`: where
   * the page before it ended. Nothing of it stays in memory.
   */
  scorePage(before: number | null, limit: number): Promise<ScorePage>;
  /** Everything accepted about this name, also before a removal, newest first, with its evidence. */
  evidenceOf(nodeId: string, limit: number): Promise<BenchmarkRecord[]>;
  /** What epochs decided about this name, also before a removal, newest first. */
  verdictsOf(nodeId: string, limit: number): Promise<VerdictRecord[]>;
  /** What the last `epochs` decided about each enrolled node since it enrolled, by node, oldest first. */
  recentVerdicts(epochs: number): Promise<Map<string, VerdictRecord[]>>;

  /** The newest time in here, 0 if there is none: the controller's clock goes on from it. */
  latestTime(): Promise<number>;
  close(): Promise<void>;
}

/** The store cannot be used. The message says what to do. */
export class StoreError extends Error {
  readonly code: 'in_use' | 'not_private' | 'unknown_version' | 'io';

  constructor(code: StoreError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreError';
    this.code = code;
  }
}
