import type { Reached } from '../contract/reach.ts';
import type { ImmediateSubscriber } from './spine.ts';

/** For how long (ms) what a node told is shown: one that says nothing more has nothing to say. */
const SHOWN_MS = 300_000;

/** What a node told last of others, controller's clock, ms. */
export interface ReachReport {
  /** As the node has dated it. */
  readonly reportedAt: number;
  readonly receivedAt: number;
  readonly others: readonly Reached[];
}

/** What one node told of another. */
export interface Told extends Reached {
  readonly by: string;
  /** Controller's clock, ms. */
  readonly receivedAt: number;
  /** When the echo was asked for; where it was not, when that was told. */
  readonly echoAt: number;
}

/** How many of the members that asked a node for an echo have had one. */
export type Reach = 'all' | 'some' | 'none';

/**
 * Who reaches whom, as nodes tell it: for people to see. Nothing is decided by it, since whoever tells it may
 * lie. In memory only.
 */
export class ReachReports implements ImmediateSubscriber {
  readonly name = 'reach';
  readonly events = ['epoch_committed', 'removed', 'lapsed'] as const;
  private readonly now: () => number;
  private readonly reports = new Map<string, ReachReport>();
  /** When a node came in or was shut out: what was seen of it before says nothing about it any more. */
  private readonly turned = new Map<string, number>();

  /** `now`: controller's clock, ms. */
  constructor(now: () => number) {
    this.now = now;
  }

  readonly handle: ImmediateSubscriber['handle'] = (event) => {
    if (event.event === 'epoch_committed') {
      for (const { node, allowed, before } of event.changes) {
        if (allowed !== before) this.turned.set(node, event.started_at);
      }
    } else if (event.event === 'removed' || event.event === 'lapsed') {
      this.reports.delete(event.node);
      this.turned.delete(event.node);
    }
  };

  /** The last report of a node, even if it is too old to be shown. */
  latestOf(nodeId: string): ReachReport | undefined {
    return this.reports.get(nodeId);
  }

  take(nodeId: string, report: ReachReport): void {
    this.reports.delete(nodeId); // so that the order is that of the last one taken
    this.reports.set(nodeId, report);
  }

  /** What a node told lately. */
  toldBy(nodeId: string): readonly Told[] {
    const report = this.recent(nodeId);
    return report?.others.map((one) => told(nodeId, report, one)) ?? [];
  }

  /** What others told of a node lately: the newest `most` of it, the newest first. */
  toldOf(nodeId: string, most: number): readonly Told[] {
    return this.newest(most, ({ node_id }) => node_id === nodeId);
  }

  /** What any told of any other. */
  latest(most: number): readonly Told[] {
    return this.newest(most, () => true);
  }

  /** By node: whether members have an echo of it, since it came in or was shut out. */
  byNode(isMember: (nodeId: string) => boolean): ReadonlyMap<string, Reach> {
    const found = new Map<string, Reach>();
    for (const by of this.reports.keys()) {
      const report = isMember(by) ? this.recent(by) : undefined;
      for (const one of report?.others ?? []) {
        const { node_id, echo } = one;
        const isOld = echoAt(report!, one) <= (this.turned.get(node_id) ?? 0);
        if (echo === 'not_asked' || isOld) continue;
        const said = echo === 'answered' ? 'all' : 'none';
        const before = found.get(node_id) ?? said;
        found.set(node_id, before === said ? said : 'some');
      }
    }
    return found;
  }

  private newest(most: number, isMeant: (one: Reached) => boolean): readonly Told[] {
    const found: Told[] = [];
    for (const by of [...this.reports.keys()].reverse()) {
      const report = this.recent(by);
      for (const one of report?.others ?? []) if (isMeant(one)) found.push(told(by, report!, one));
      if (found.length >= most) break;
    }
    return found.slice(0, most);
  }

  private recent(nodeId: string): ReachReport | undefined {
    const report = this.reports.get(nodeId);
    return report && this.now() - report.receivedAt <= SHOWN_MS ? report : undefined;
  }
}

function told(by: string, report: ReachReport, one: Reached): Told {
  return { by, receivedAt: report.receivedAt, echoAt: echoAt(report, one), ...one };
}

/** Controller's clock, ms. */
function echoAt({ receivedAt }: ReachReport, { echo_age_s }: Reached): number {
  return receivedAt - (echo_age_s ?? 0) * 1000;
}
