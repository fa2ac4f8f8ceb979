import { Absence } from './absence.ts';
import { brakeStatus } from './brake-status.ts';
import { type Epoch, type EpochVersion, membersOf } from './epoch.ts';
import { EpochCommitter, type EpochCommitterOptions, type Occasion } from './epoch-committer.ts';
import { EpochTimer } from './epoch-timer.ts';
import { thrown } from './events.ts';
import { Judging } from './judging.ts';
import { LostState } from './lost-state.ts';
import { type Outlook, outlookOf } from './outlook.ts';
import { suitesOf } from './policy.ts';
import { refuse } from './problem-error.ts';
import type { EpochKeys } from './psk.ts';
import type { Cosigning } from './record/cosigning.ts';
import { type JudgedBy, policyHash, policyText } from './record/policy-text.ts';
import { reservationMs } from './settings.ts';
import { silentNodes } from './silence.ts';

/**
 * After a start or an outage, an epoch waits this many report intervals for its members. Whose suites are
 * measured more rarely is excused for so many of theirs.
 */
const INTERVALS_AWAY = 3;
/** After a commit that failed (the disk is full), ms. */
const RETRY = 1000;

export interface GovernorOptions extends Omit<EpochCommitterOptions, 'judging'> {
  /** How long the controller could attend to nobody, ms since it was asked last. */
  readonly overload: { take(): number };
  readonly cosigning: Pick<Cosigning, 'bar'>;
}

/** When epochs are decided: at boundaries, when an admin asks, and after an absence when all are back. */
export class Governor {
  readonly lost = new LostState();
  private readonly options: GovernorOptions;
  private readonly periodMs: number;
  private readonly intervalMs: number;
  private readonly judging: Judging;
  private readonly committer: EpochCommitter;
  /** Undefined while nobody is waited for. */
  private absence: Absence | undefined;
  private readonly timer: EpochTimer;
  private busy: Promise<unknown> = Promise.resolve();
  private isClosed = false;
  /** Controller's clock, ms. */
  private startedAt = 0;

  constructor(options: GovernorOptions) {
    this.options = options;
    this.periodMs = options.settings.epochS * 1000;
    this.intervalMs = options.settings.reportIntervalS * 1000;
    const isAwaited = (nodeId: string, now: number) => this.absence?.awaits(nodeId, now) === true;
    this.judging = new Judging({ ...options, isAwaited });
    this.committer = new EpochCommitter({ ...options, judging: this.judging });
    this.timer = new EpochTimer(options.clock, this.periodMs, () => {
      this.exclusively(() => this.boundary()).catch(this.failed);
    });
  }

  /** Commits the first epoch ever, or waits for the members of the last one to report again. */
  async start(): Promise<void> {
    const { store, emit, clock, crypto, settings } = this.options;
    const policy = policyText(settings);
    this.startedAt = clock.now();
    await store.recordStart(clock.now(), policy, policyHash(crypto, policy));
    await this.committer.load();
    const epoch = this.current;
    if (epoch && epoch.secret === undefined) {
      emit({ event: 'restored', epoch: epoch.epoch, version: epoch.version });
    }
    await this.exclusively<unknown>(() => (epoch ? this.wait() : this.decide()));
  }

  /** The epoch in force; undefined before the first commit. */
  get current(): Epoch | undefined {
    return this.committer.current;
  }

  /**
   * The epoch whose configs may be given out, and its keys. Undefined while there is none, or while
   * none can be decided: better that members run out of time than that they keep who has failed.
   */
  get servable(): { readonly epoch: Epoch; readonly keys: EpochKeys } | undefined {
    const { current: epoch, keys } = this.committer;
    if (!epoch || !keys || this.timer.isOverdue || this.lost.isLost) return undefined;
    if (this.options.cosigning.bar !== undefined) return undefined;
    return { epoch, keys };
  }

  /** Why no epochs are being decided at the moment; undefined if they are. */
  get notReady(): string | undefined {
    const { current, lost } = this;
    if (lost.isLost) return lost.sentence(current);
    if (current === undefined) return 'No epoch has been committed yet.';
    if (this.timer.isOverdue)
      return `Epoch ${current.epoch} is over and the next cannot be committed.`;
    if (this.absence?.holdsEpoch !== true) return this.options.cosigning.bar;
    return `Epoch ${current.epoch} goes on until its members have reported again.`;
  }

  /** Controller's clock of the next scheduled decision, ms. */
  get nextRotationAt(): number {
    return Math.round(this.timer.due);
  }

  /** Starts a new epoch at once; the next boundary is one whole epoch from now. */
  rotate(): Promise<Epoch> {
    return this.exclusively(() => this.decide());
  }

  /**
   * Starts a new epoch at once in which the brake holds nobody: an operator has decided that they have
   * really failed. Undefined: it holds nobody as it is.
   */
  releaseBrake(): Promise<Epoch | undefined> {
    return this.exclusively(async () => {
      const { settings } = this.options;
      if (brakeStatus(this.current, settings.policy.brake, this.periodMs) === null)
        return undefined;
      return this.decide({ by: { ...settings, policy: { ...settings.policy, brake: null } } });
    });
  }

  /** Who of the members would go under another policy, were it in force now, and who would come. */
  async outlook(by: JudgedBy): Promise<Outlook> {
    const now = this.options.clock.now();
    return outlookOf(this.current, await this.judging.verdicts(this.current, now, undefined, by));
  }

  /** Judges by another policy from the next epoch on. It is in the log before anything follows from it. */
  setPolicy(next: Pick<JudgedBy, 'policy' | 'evaluators'>): Promise<void> {
    return this.exclusively(async () => {
      const { store, clock, crypto, settings } = this.options;
      const text = policyText({ ...settings, ...next });
      await store.recordPolicy(clock.now(), text, policyHash(crypto, text));
      settings.policy = next.policy;
      settings.evaluators = next.evaluators;
    });
  }

  /** Takes a node out of the mesh for good, with a new epoch. Undefined: no such node. */
  remove(nodeId: string): Promise<Epoch | undefined> {
    return this.exclusively(async () => {
      const { clock, directory, settings } = this.options;
      await directory.refresh();
      if (!directory.nodes.has(nodeId)) return undefined;
      const reservedUntil = clock.now() + reservationMs(settings);
      return this.decide({ removals: [{ nodeId, reservedUntil }] });
    });
  }

  /**
   * Told of an epoch that bears this controller's signature. If the state does not know it, it is an
   * older one: nothing is decided any more, so that no epoch gets a number that another one had.
   */
  signedBefore(seen: EpochVersion): Promise<void> {
    return this.exclusively(async () => {
      if (this.lost.knows(seen, this.current)) return;
      await this.committer.follow();
      if (this.lost.knows(seen, this.current)) return;
      const event = this.lost.learn(seen, this.current);
      this.timer.stop();
      this.absence = undefined;
      if (event) this.options.emit(event);
    });
  }

  /** Settles once everything that is being decided or stored now is: never where that hangs. */
  async settled(): Promise<void> {
    await this.busy;
  }

  /** A score of this node was accepted. */
  reported(nodeId: string): void {
    if (!this.absence?.awaits(nodeId, this.options.clock.now())) return;
    this.exclusively(() => this.stopWaitingFor(nodeId)).catch(this.failed);
  }

  /** What the policy says of each node now; the epoch in force may say otherwise until its end. */
  verdicts(now = this.options.clock.now()): ReturnType<Judging['verdicts']> {
    return this.judging.verdicts(this.current, now);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.timer.stop();
    await this.busy;
    this.committer.close();
  }

  /** Lets the epoch in force go on until its members have reported again. */
  private async wait(): Promise<void> {
    const since = this.options.clock.now();
    const until = since + INTERVALS_AWAY * this.intervalMs;
    const members = [...membersOf(this.current).keys()];
    const { policy } = this.options.settings;
    const excused = members.map((nodeId) => {
      const slowest = Math.max(...suitesOf(policy, nodeId).map((one) => one.reportIntervalS));
      return [nodeId, Math.max(until, since + INTERVALS_AWAY * slowest * 1000)] as const;
    });
    this.absence = new Absence(new Map(excused), since, until);
    if (members.length === 0) {
      await this.decide();
    } else {
      const { epoch = 0 } = this.current ?? {};
      this.options.emit({ event: 'waiting', epoch, until, members });
      this.timer.setTo(until);
    }
  }

  private async stopWaitingFor(nodeId: string): Promise<void> {
    const { absence } = this;
    const isEnrolled = this.options.directory.nodes.has(nodeId);
    const now = this.options.clock.now();
    if (this.isClosed || !absence?.awaits(nodeId, now) || !isEnrolled) return;
    const observedSince = absence.since - this.intervalMs; // clocks differ a little
    if (!(await this.judging.hasReported(nodeId, absence.since, observedSince))) return;
    absence.endsFor(nodeId);
    if (absence.isComplete && absence.holdsEpoch) await this.decide();
  }

  /** Decides the epoch that begins now. */
  private async decide(occasion: Occasion = {}): Promise<Epoch> {
    if (this.lost.isLost) return refuse('not_ready', { detail: this.notReady! });
    const now = this.options.clock.now();
    for (const { nodeId } of occasion.removals ?? []) this.absence?.endsFor(nodeId);
    if (this.absence?.passes(now)) this.absence = undefined;
    try {
      const epoch = await this.committer.insist(occasion);
      this.timer.startFrom(now);
      this.timer.setTo(this.absence?.holdsEpoch ? this.absence.until : now + this.periodMs);
      return epoch;
    } catch (error) {
      this.timer.tryAgain(now + RETRY);
      throw error;
    }
  }

  /** The timer's part: an epoch is due. */
  private async boundary(): Promise<void> {
    const { clock, overload, emit } = this.options;
    if (this.isClosed || this.lost.isLost) return;
    const { due } = this.timer;
    const now = clock.now();
    if (now < due) return this.timer.tryAgain(due); // timers may fire early
    const missed = Math.max(now - due, overload.take());
    if (this.absence?.holdsEpoch) {
      await this.decide();
    } else if (missed > this.intervalMs) {
      // Reports were missed: this process was stopped, slept, or had no time for anybody. Members
      // have a chance to report again before it decides, once.
      emit({ event: 'overload', missed_ms: missed });
      await this.wait();
    } else {
      try {
        if (!(await this.commitWithoutSilent(now))) {
          // Another controller was first: at this boundary, or this one has not heard of it before.
          if (this.current!.startedAt < due - this.periodMs / 2) await this.committer.insist();
          else this.timer.startFrom(now);
        }
        this.timer.setToNext(Math.max(due, clock.now()));
      } catch (error) {
        this.timer.tryAgain(now + RETRY);
        throw error;
      }
    }
  }

  /** Commits the epoch that is due, which those are none of who fell silent for good. */
  private async commitWithoutSilent(now: number): Promise<Epoch | undefined> {
    const { directory, presence, settings, emit } = this.options;
    await directory.refresh();
    const silent = silentNodes(directory, presence, this.startedAt, now);
    const reservedUntil = now + reservationMs(settings);
    const removals = silent.map(({ nodeId }) => ({ nodeId, reservedUntil }));
    const committed = await this.committer.commit({ removals });
    if (committed === undefined) return undefined;
    const { epoch, version } = committed;
    for (const { nodeId, silentS } of silent) {
      emit({ event: 'lapsed', node: nodeId, silent_s: Math.round(silentS), epoch, version });
    }
    return committed;
  }

  private readonly failed = (error: unknown): void => {
    this.options.emit({ event: 'epoch_failed', ...thrown(error) });
  };

  /** One decision at a time. */
  private exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.busy.then(work);
    this.busy = result.catch(() => {});
    return result;
  }
}
