import type { AgentEvent } from '../agent/events.ts';
import type { NodeStatusDocument } from '../agent/status.ts';
import type { EpochDocument } from '../contract/epoch.ts';

/** What the demo has seen so far, and what it says at the end. Pure bookkeeping: no I/O. */

export interface PairCount {
  sent: number;
  received: number;
}

export interface EpochRecord {
  readonly epoch: number;
  members: readonly string[];
  denied: readonly string[];
  /** Echoes in this epoch by ordered pair `from>to`. */
  readonly packets: Record<string, PairCount>;
}

/** The last echo from one node to another. */
export interface Echo {
  readonly ok: boolean;
  readonly rttMs: number | null;
  /** Why the other node could not be asked; null if it was. */
  readonly error: string | null;
  readonly at: number;
}

/** An echo in a few words. */
export function describeEcho({ ok, rttMs, error }: Echo): string {
  if (error !== null) return `not asked (${error})`;
  return ok ? `${rttMs} ms` : 'no answer';
}

/** A node was let in, shut out, or judged for the first time and not let in. */
export interface Change {
  readonly epoch: number;
  readonly node: string;
  /** Whether it was one until then. */
  readonly was_member: boolean;
  readonly allowed: boolean;
  readonly reason: string;
  readonly explanation: string;
}

/** What a change is called on screen. */
export function changeVerb(change: Pick<Change, 'allowed' | 'reason' | 'was_member'>): string {
  if (change.allowed) return 'let in';
  if (change.reason === NOT_JUDGED) return 'waits';
  return change.was_member ? 'shut out' : 'kept out';
}

const NOT_JUDGED = 'not_yet_decided';

export interface Summary {
  readonly event: 'summary';
  readonly mode: string;
  readonly scenario: string;
  readonly epoch_s: number;
  readonly members: readonly string[];
  readonly denied: readonly string[];
  /** Why each denied node is out at the end: what was decided, and by which rules. */
  readonly why: Readonly<Record<string, string>>;
  readonly packets: Readonly<Record<string, PairCount>>;
  readonly rotations: number;
  readonly exclusions: number;
  readonly changes: readonly Change[];
  readonly epochs: readonly EpochRecord[];
  /** Echoes answered although one end had been denied for over a second: must be 0. */
  readonly leaks: number;
  /** Seconds from the start of the demo to the first echo answered between two members. */
  readonly first_packet_s: number | null;
}

/** An answered echo of a node that is denied as far as is known. */
interface Suspect {
  readonly nodes: readonly string[];
  readonly startedAt: number;
}

/** Scores of a node that are shown. */
const KEPT_SCORES = 16;

/** Pushes reach the nodes within this, ms; an echo that was under way meanwhile is no leak. */
const SETTLED_MS = 1000;

export class DemoModel {
  readonly nodeIds: readonly string[];
  epoch: EpochDocument | undefined;
  readonly status = new Map<string, NodeStatusDocument>();
  /** Last echo by ordered pair. */
  readonly reach = new Map<string, Echo>();
  /** What each node measured, the newest last. */
  readonly scores = new Map<string, number[]>();
  readonly changes: Change[] = [];
  leaks = 0;
  private suspects: Suspect[] = [];
  private readonly nodeEpochs = new Map<string, number>();
  firstPacketAt: number | undefined;

  private readonly startedAt: number;
  private readonly epochs = new Map<number, EpochRecord>();
  private readonly totals: Record<string, PairCount> = {};
  private readonly verdicts = new Map<
    string,
    { readonly allowed: boolean; readonly isJudged: boolean; readonly since: number }
  >();

  /** `now` is any clock in ms, the same for all calls. */
  constructor(nodeIds: readonly string[], now: number) {
    this.nodeIds = nodeIds;
    this.startedAt = now;
    for (const from of nodeIds) {
      for (const to of nodeIds) if (from !== to) this.totals[pair(from, to)] = zero();
    }
  }

  /** The controller's view. Returns what has changed since the last one. */
  onEpoch(document: EpochDocument, now: number): Change[] {
    this.epoch = document;
    const members = document.nodes.filter((node) => node.allowed).map((node) => node.node_id);
    const denied = document.nodes.filter((node) => !node.allowed).map((node) => node.node_id);
    const record = this.record(document.epoch);
    record.members = members;
    record.denied = denied;
    const changes: Change[] = [];
    for (const node of document.nodes) {
      const before = this.verdicts.get(node.node_id);
      const isJudged = node.reason !== NOT_JUDGED;
      const isSame = before?.allowed === node.allowed;
      if (isSame && (node.allowed || before.isJudged || !isJudged)) continue;
      const since = isSame ? before.since : now;
      this.verdicts.set(node.node_id, { allowed: node.allowed, isJudged, since });
      changes.push({
        epoch: document.epoch,
        node: node.node_id,
        was_member: before?.allowed ?? false,
        allowed: node.allowed,
        reason: node.reason,
        explanation: node.explanation,
      });
    }
    this.changes.push(...changes);
    // Members may be a moment ahead of what is known here: what let them in is in this document.
    this.leaks += this.suspects.filter((suspect) => this.wasDenied(suspect)).length;
    this.suspects = [];
    return changes;
  }

  onAgent(from: string, event: AgentEvent, now: number): void {
    if (event.event === 'config') this.nodeEpochs.set(from, event.epoch);
    if (event.event === 'score') this.keepScore(from, event.score);
    if (event.event !== 'probe') return;
    const key = pair(from, event.node);
    const { ok, rtt_ms: rttMs, error } = event;
    this.reach.set(key, { ok, rttMs, error, at: now });
    if (error !== null) return; // nothing left, so nothing is counted
    // The node may have heard of a new epoch before the controller was asked again.
    const epoch = Math.max(this.epoch?.epoch ?? 0, this.nodeEpochs.get(from) ?? 0);
    const inEpoch = epoch > 0 ? this.record(epoch) : undefined;
    for (const packets of [this.totals, inEpoch?.packets]) {
      if (!packets) continue;
      packets[key] ??= zero();
      packets[key].sent++;
      if (event.ok) packets[key].received++;
    }
    if (!event.ok) return;
    this.firstPacketAt ??= now;
    const suspect = { nodes: [from, event.node], startedAt: now - (event.rtt_ms ?? 0) };
    if (this.wasDenied(suspect)) this.suspects.push(suspect);
  }

  private keepScore(node: string, score: number): void {
    const kept = [...(this.scores.get(node) ?? []), score].slice(-KEPT_SCORES);
    this.scores.set(node, kept);
  }

  private wasDenied({ nodes, startedAt }: Suspect): boolean {
    return nodes.some((node) => {
      const verdict = this.verdicts.get(node);
      return verdict && !verdict.allowed && startedAt - verdict.since > SETTLED_MS;
    });
  }

  summary(mode: string, scenario: string, epochSeconds: number): Summary {
    const nodes = this.epoch?.nodes ?? [];
    return {
      event: 'summary',
      mode,
      scenario,
      epoch_s: epochSeconds,
      members: nodes.filter((node) => node.allowed).map((node) => node.node_id),
      denied: nodes.filter((node) => !node.allowed).map((node) => node.node_id),
      why: Object.fromEntries(
        nodes
          .filter((node) => !node.allowed)
          .map(({ node_id, explanation, rules }) => [
            node_id,
            [explanation, ...rules.map((rule) => `Rule: ${rule}.`)].join(' '),
          ]),
      ),
      packets: this.totals,
      rotations: this.epoch?.rotations ?? 0,
      exclusions: this.epoch?.exclusions ?? 0,
      changes: this.changes,
      epochs: [...this.epochs.values()],
      leaks: this.leaks,
      first_packet_s:
        this.firstPacketAt === undefined
          ? null
          : Math.round(this.firstPacketAt - this.startedAt) / 1000,
    };
  }

  private record(epoch: number): EpochRecord {
    let record = this.epochs.get(epoch);
    if (!record) {
      record = { epoch, members: [], denied: [], packets: {} };
      this.epochs.set(epoch, record);
    }
    return record;
  }
}

export function pair(from: string, to: string): string {
  return `${from}>${to}`;
}

function zero(): PairCount {
  return { sent: 0, received: 0 };
}
