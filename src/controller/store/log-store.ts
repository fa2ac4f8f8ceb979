import type { BrakeEvent, EpochEvent, NotedEvent, PolicyText } from '../../contract/record/leaf.ts';
import type { Tile } from '../../record/tiles.ts';

/** How far a log has come. */
export interface LogState {
  /** Epoch at which a restored backup began the log's present name; 0: it has its first. */
  readonly series: number;
  /** Leaves. */
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
}

/** What the log is told of an epoch, in the step that commits it. */
export interface RecordedEpoch {
  readonly event: EpochEvent;
  /** What it was judged by, whose hash `event` names: written down before it if the log has another one last. */
  readonly policy: PolicyText;
  /** Rows of the verdicts, ids in byte order. */
  readonly rows: readonly Uint8Array[];
  /** Where the brake holds others than in the epoch before. */
  readonly brake?: BrakeEvent;
}

export interface PlacedLeaf {
  readonly index: number;
  readonly content: Uint8Array;
}

/** Leaves of an epoch, of the policy that it was judged by, and of a node's enrolment before it. */
export interface LeavesBehind {
  readonly epoch: PlacedLeaf;
  readonly policy: PlacedLeaf;
  readonly enrolment: PlacedLeaf;
}

/**
 * The part of a store that is the mesh's log. What other calls change they append in the same
 * transaction: nothing takes effect unrecorded, and nothing is recorded that did not.
 */
export interface LogStore {
  /** The controller starts under this policy, whose hash (base64) is known to whoever calls. */
  recordStart(at: number, policy: PolicyText, hash: string): Promise<void>;
  /** What is decided from now on is decided under this policy. */
  recordPolicy(at: number, policy: PolicyText, hash: string): Promise<void>;
  /** Something that changes nothing else in the store, as that somebody asked for a change. */
  record(at: number, event: NotedEvent): Promise<void>;
  logState(): Promise<LogState>;
  /** Bytes of a tile, or of a bundle of entries, as wide as asked for. Undefined: not there (yet). */
  logTile(tile: Tile): Promise<Uint8Array | undefined>;
  /** Hashes which show that the first `size` leaves begin with the first `oldSize` (RFC 6962). */
  consistencyProof(oldSize: number, size: number): Promise<readonly Uint8Array[]>;
  /** Hashes that lead from leaf `index` to the root of the first `size` leaves (RFC 6962). */
  inclusionProof(index: number, size: number): Promise<readonly Uint8Array[]>;
  /** Where the log has what a verdict rests on. Undefined: it has no such epoch, or not the node before it. */
  leavesBehind(node: string, epoch: number): Promise<LeavesBehind | undefined>;
  /** The score envelopes that a row names (its text), as far as they are kept. */
  evidenceNamedBy(row: Uint8Array): Promise<readonly Uint8Array[]>;
  /** Rows of an epoch's verdicts, one a line. Undefined: there are none (any more). */
  verdictRows(epoch: number): Promise<Uint8Array | undefined>;
  /**
   * Score envelopes, one a line: those that the epoch's rows name and the rows before did not, as far
   * as they are kept. Undefined: its rows are not there (any more).
   */
  newEvidence(epoch: number): Promise<Uint8Array | undefined>;
}
