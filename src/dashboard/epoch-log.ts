import { describeControllerEvent, type StampedEvent } from '../controller/events.ts';
import type { Subscriber } from '../controller/spine.ts';
import type { VerdictRecord } from '../controller/store/store.ts';
import type { Push } from '../controller/stream-hub.ts';
import type { ChangeView, EpochPoint, MarkView } from './documents.ts';
import { askedMark, isOfAll } from './recorded-marks.ts';

/** A day and a half of epochs of 60 s. */
const MAX_EPOCHS = 2000;
const MAX_CHANGES = 5000;
export const MAX_MARKS = 500;
/** Reasons of a node that has not shown yet what it is. */
const UNDECIDED: ReadonlySet<string> = new Set([
  'not_yet_decided',
  'no_score',
  'no_config_fetched',
]);

const NOTHING = { members: 0, denied: 0, shutOut: 0, commitMs: null, pushMs: null };

/** The latest epochs in numbers, who came and went, and what bore on all. */
export class EpochLog implements Subscriber {
  readonly name = 'dashboard';
  readonly events = ['epoch_committed', 'brake', 'brake_released', 'policy_set', 'asked'] as const;
  /** Oldest first, as are the changes. */
  private epochs: EpochPoint[] = [];
  private changes: ChangeView[] = [];
  private marks: MarkView[] = [];
  /** Who is out, and was said to be. */
  private readonly kept = new Set<string>();
  private readonly lastPush: () => Push | undefined;

  /** `lastPush`: of the newest epoch that was told to all; an epoch is told before it comes here. */
  constructor(lastPush: () => Push | undefined = () => undefined) {
    this.lastPush = lastPush;
  }

  readonly handle = (event: StampedEvent): void => {
    if (event.event === 'epoch_committed') this.committed(event);
    else if (event.event !== 'asked') this.mark(event);
    else if (isOfAll(event)) this.marks.push({ at: event.at, ...askedMark(event) });
    this.trim();
  };

  private committed(event: Extract<StampedEvent, { event: 'epoch_committed' }>): void {
    const { epoch, version, started_at: at, members, denied, removed } = event;
    const point = { epoch, at, members: members.length, denied: denied.length };
    const push = this.lastPush();
    const pushMs = push?.epoch === epoch && push.version === version ? push.ms : null;
    this.epochs.push({ ...point, shutOut: removed.length, commitMs: event.commit_ms, pushMs });
    for (const { node, allowed, before, reason, explanation } of event.changes) {
      this.note({ epoch, at, node, reason, explanation }, before ?? false, allowed);
    }
  }

  /**
   * Takes what is remembered of before the first event: verdicts by node, oldest first, and what bore on
   * all, in any order.
   */
  seed(
    verdicts: ReadonlyMap<string, readonly VerdictRecord[]>,
    marks: readonly MarkView[] = [],
  ): void {
    const firstMark = this.marks[0]?.at ?? Number.POSITIVE_INFINITY;
    const earlier = marks.filter(({ at }) => at < firstMark).sort((a, b) => a.at - b.at);
    this.marks = [...earlier, ...this.marks];
    const later = { epochs: this.epochs, changes: this.changes };
    const first = later.epochs[0]?.epoch ?? Number.POSITIVE_INFINITY;
    const points = new Map<number, { -readonly [K in keyof EpochPoint]: EpochPoint[K] }>();
    this.changes = [];
    for (const [node, records] of verdicts) {
      let was = records[0] !== undefined && records[0].sinceEpoch !== records[0].epoch;
      for (const { epoch, startedAt: at, allowed, reason, explanation } of records) {
        if (epoch >= first) break;
        const point = points.get(epoch) ?? { epoch, at, ...NOTHING };
        points.set(epoch, point);
        if (allowed) point.members++;
        else point.denied++;
        if (was && !allowed && at !== records[0]!.startedAt) point.shutOut++;
        if (at !== records[0]!.startedAt || !was) {
          this.note({ epoch, at, node, reason, explanation }, was, allowed);
        }
        was = allowed;
      }
    }
    const byEpoch = (a: { epoch: number }, b: { epoch: number }) => a.epoch - b.epoch;
    this.epochs = [...[...points.values()].sort(byEpoch), ...later.epochs];
    this.changes = [...this.changes.sort(byEpoch), ...later.changes];
    this.trim();
  }

  private mark(event: StampedEvent): void {
    const sentence = describeControllerEvent(event) ?? event.event;
    const what = event.event === 'policy_set' ? 'policy' : 'brake';
    this.marks.push({ at: event.at, what, sentence });
  }

  private note(change: Omit<ChangeView, 'what'>, before: boolean, allowed: boolean): void {
    const { node, reason } = change;
    if (before !== allowed) {
      this.changes.push({ ...change, what: allowed ? 'let in' : 'shut out' });
    } else if (!allowed && !UNDECIDED.has(reason) && !this.kept.has(node)) {
      this.changes.push({ ...change, what: 'kept out' });
    } else {
      return;
    }
    if (allowed) this.kept.delete(node);
    else this.kept.add(node);
  }

  /** Newest first. */
  latestEpochs(limit: number): EpochPoint[] {
    return this.epochs.slice(-limit).reverse();
  }

  /** Newest first. */
  latestChanges(limit: number): ChangeView[] {
    return this.changes.slice(-limit).reverse();
  }

  /** Newest first. */
  latestMarks(limit: number): MarkView[] {
    return this.marks.slice(-limit).reverse();
  }

  private trim(): void {
    this.marks.splice(0, this.marks.length - MAX_MARKS);
    this.epochs.splice(0, this.epochs.length - MAX_EPOCHS);
    this.changes.splice(0, this.changes.length - MAX_CHANGES);
  }
}
