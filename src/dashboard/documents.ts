/**
 * What the dashboard's page reads: snapshots and what changed since, history of one node, and of the
 * epochs. Times are of the controller's clock, ms since 1970.
 */

export interface SuiteView {
  readonly suite: string;
  readonly score: number | null;
  /** Null while there is no score. */
  readonly observedAt: number | null;
  readonly samples: number | null;
  readonly passed: boolean;
}

/** A node as all pages know it; what only its own page shows is in `NodeDetail`. */
export interface NodeView {
  readonly id: string;
  /** In force in this epoch. */
  readonly allowed: boolean;
  readonly reason: string;
  /** Null where the reason says it all: it passed. */
  readonly explanation: string | null;
  /** Null while denied. */
  readonly sinceEpoch: number | null;
  /** The lowest among the required suites, to four places; null while one has none. */
  readonly score: number | null;
  /** When the oldest of them was observed; null while one has none. */
  readonly observedAt: number | null;
  /** When the latest was, if that is another time. */
  readonly latestAt: number | null;
  /** How many of the members that asked it for an echo have had one; null: none has asked. */
  readonly reach: 'all' | 'some' | 'none' | null;
}

/** Many of a kind: each field once, with its values in the same order. */
export type Columns<T> = { readonly [K in keyof T]: readonly T[K][] };

/** What there is to say of an enrolled node at the moment. */
export interface NodeDetail {
  readonly address: string;
  readonly explanation: string;
  readonly suites: readonly SuiteView[];
  /** What each of them asks for, in the same order. */
  readonly rules: readonly string[];
  /** Epochs until a denied node may be back at the earliest; null for a member. */
  readonly backInEpochs: number | null;
}

/** What limits how many are cut, while it does. */
export interface BrakeView {
  /** `frozen`: nobody is cut. `capped`: only the worst are. */
  readonly phase: 'frozen' | 'capped';
  readonly until: number | null;
  /** Members only because of it. */
  readonly held: number;
}

/** The mesh without its nodes. */
export interface EpochView {
  readonly meshId: string;
  readonly epoch: number;
  readonly version: number;
  readonly startedAt: number;
  readonly nextRotationAt: number;
  readonly epochS: number;
  /** Lowest score that passes. */
  readonly threshold: number;
  readonly freshnessS: number;
  readonly observeOnly: boolean;
  readonly brake: BrakeView | null;
  readonly rotations: number;
  readonly exclusions: number;
  /** Why no epochs are being decided at the moment; null if they are. */
  readonly notReady: string | null;
}

/** First event of `/api/live`, and the answer of `/api/mesh`. */
export interface MeshView {
  readonly now: number;
  readonly epoch: EpochView;
  /** By id in byte order. */
  readonly nodes: Columns<NodeView>;
}

/** Every other event of `/api/live`. What is absent is as it was. */
export interface MeshDelta {
  readonly now: number;
  readonly epoch?: EpochView;
  readonly changed: Columns<NodeView>;
  readonly gone: readonly string[];
}

export interface ScorePoint {
  readonly suite: string;
  readonly signer: string;
  readonly score: number;
  readonly samples: number;
  readonly observedAt: number;
}

export interface VerdictPoint {
  readonly epoch: number;
  readonly at: number;
  readonly allowed: boolean;
  readonly reason: string;
  readonly explanation: string;
}

/** What one node has of another, as it told it. */
export interface PairView {
  readonly by: string;
  readonly node: string;
  readonly echo: 'answered' | 'unanswered' | 'not_asked';
  /** When it was asked; where it was not, when that was told. */
  readonly echoAt: number;
  readonly rttMs: number | null;
  /** Of the last handshake of the two; null: none. */
  readonly handshakeAt: number | null;
  /** Endpoint at which it was heard last; null: nowhere. */
  readonly path: string | null;
}

/** `/api/reach`: the latest that nodes told of one another, up to `MOST_PAIRS`. */
export interface ReachView {
  readonly pairs: readonly PairView[];
}

/** All pairs of sixteen nodes, both ways. */
export const MOST_PAIRS = 240;

/** `/api/nodes/{id}`: newest first. */
export interface NodeHistory {
  readonly id: string;
  /** Null: it is not enrolled. */
  readonly present: NodeDetail | null;
  /** What it told of others, and others of it. */
  readonly reaches: readonly PairView[];
  readonly reachedBy: readonly PairView[];
  readonly scores: readonly ScorePoint[];
  readonly verdicts: readonly VerdictPoint[];
}

/** Somebody came in, or is out: as a member until then, or as one that never was. */
export interface ChangeView {
  readonly epoch: number;
  readonly at: number;
  readonly node: string;
  readonly what: 'let in' | 'shut out' | 'kept out';
  readonly reason: string;
  readonly explanation: string;
}

/** What bears on all nodes: the brake, or another policy. */
export interface MarkView {
  readonly at: number;
  readonly what: 'brake' | 'policy';
  /** As the controller's log says it; from before its start, as the record or a verdict does. */
  readonly sentence: string;
}

/** One epoch in numbers. */
export interface EpochPoint {
  readonly epoch: number;
  readonly at: number;
  readonly members: number;
  readonly denied: number;
  /** Members of the epoch before that are none in this one. */
  readonly shutOut: number;
  /** From its decision until it was on the disk, ms; null: from before the controller's start. */
  readonly commitMs: number | null;
  /** From there until it was written to the last stream, ms. */
  readonly pushMs: number | null;
}

/** Something to be looked at, as Prometheus would tell it with our rules. */
export interface AlertView {
  readonly name: string;
  readonly detail: string;
}

/** One suite's runs over the whole mesh. */
export interface RunsView {
  readonly suite: string;
  /** Nodes whose score is young enough to count, is too old, and that have none. */
  readonly fresh: number;
  readonly tooOld: number;
  readonly missing: number;
  /** When the newest and the oldest were observed; null without any. */
  readonly newestAt: number | null;
  readonly oldestAt: number | null;
}

/** How far one evaluator is from the median of all. */
export interface EvaluatorView {
  readonly evaluator: string;
  /** Its words that others can be compared with. */
  readonly compared: number;
  /** Above 0 it is milder than the others; null: nothing to compare. */
  readonly bias: number | null;
  readonly distance: number | null;
  /** Its last word on anybody. */
  readonly lastAt: number | null;
}

/** A witness of the log, as the controller knows of it. */
export interface WitnessView {
  readonly witness: string;
  /** Of the last checkpoint that it cosigned since the controller's start; 0: none. */
  readonly entries: number;
  /** Epochs that it has not cosigned. */
  readonly behind: number;
}

/** `/api/health`. */
export interface HealthView {
  readonly alerts: readonly AlertView[];
  readonly runs: readonly RunsView[];
  readonly evaluators: readonly EvaluatorView[];
  readonly witnesses: readonly WitnessView[];
  readonly version: string;
  readonly uptimeS: number;
  readonly residentBytes: number;
  readonly streams: number;
  readonly acceptedScores: number;
  readonly rotations: number;
  readonly exclusions: number;
  /** Refused requests by problem code, most frequent first. */
  readonly problems: readonly {
    readonly code: string;
    readonly title: string;
    readonly count: number;
  }[];
}

/** `/api/session`: who looks at the page. */
export interface SessionView {
  /** Nothing is shown to whoever has not signed in. */
  readonly mustSignIn: boolean;
  /** Null: nobody has signed in. */
  readonly name: string | null;
  readonly role: 'view' | 'operate' | 'admin' | null;
}

/** What a policy would have done, of the scores that are remembered. */
export interface ReplayTrial {
  /** How often a member would have been cut. */
  readonly cuts: number;
  /** Most members that one epoch would have cut. */
  readonly worstEpoch: number;
  /** In which the brake would have held everybody. */
  readonly frozenEpochs: number;
  readonly nodes: readonly {
    readonly node: string;
    readonly cuts: number;
    /** From 0 to 1. */
    readonly memberShare: number;
    readonly epochsOut: number;
  }[];
  /** The same with all suites at other thresholds. */
  readonly curve: readonly {
    readonly threshold: number;
    readonly cuts: number;
    readonly nodesCut: number;
  }[];
}

/** `POST /api/policy/replay`: the policy in force and a proposed one, side by side. */
export interface ReplayView {
  readonly from: number;
  readonly epochs: number;
  readonly epochS: number;
  readonly scores: number;
  /** False: there are older ones, which were left out. */
  readonly isAll: boolean;
  readonly rules: readonly [inForce: readonly string[], proposed: readonly string[]];
  readonly inForce: ReplayTrial;
  readonly proposed: ReplayTrial;
}
