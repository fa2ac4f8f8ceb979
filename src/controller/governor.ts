import type { BrakeStatus } from '../contract/epoch.ts';
import { signingKeyId } from '../contract/ids.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { brakeStatus } from './brake-status.ts';
import type { ControllerClock } from './clock.ts';
import type { NodeDirectory } from './directory.ts';
import {
  type Epoch,
  membersOf,
  type NodeVerdict,
  nextBoundary,
  nextEpoch,
  standingsOf,
} from './epoch.ts';
import { epochCommitted } from './epoch-committed.ts';
import type { EpochHeaders } from './epoch-headers.ts';
import { type EmitControllerEvent, thrown } from './events.ts';
import { decideMesh } from './policy/decide-mesh.ts';
import { hasReportedSince } from './policy/reading.ts';
import { everySuite, type Score, type SignersOf, suitesOf } from './policy.ts';
import type { Presence } from './presence.ts';
import { refuse } from './problem-error.ts';
import { EpochKeys } from './psk.ts';
import { EpochRecorder } from './record/epoch-recorder.ts';
import { policyHash, policyText } from './record/policy-text.ts';
import { reservationMs, type Settings } from './settings.ts';
import type { EpochStep, Removal, Store } from './store/store.ts';

/** After a start or an outage, an epoch waits this many report intervals for its members. */
const INTERVALS_AWAY = 3;
/** After a commit that failed (the disk is full), ms. */
const RETRY = 1000;
/** A commit lost to another controller is tried again on top of what that one decided. */
const COMMIT_ATTEMPTS = 5;

export interface GovernorOptions {
  readonly store: Store;
  readonly directory: NodeDirectory;
  readonly settings: Settings;
  readonly clock: ControllerClock;
  readonly crypto: CryptoProvider;
  readonly random: RandomBytes;
  readonly meshId: Uint8Array;
  readonly presence: Presence;
  readonly headers: EpochHeaders;
  /** How long the controller could attend to nobody, ms since it was asked last. */
  readonly overload: { take(): number };
  /** Called with an epoch right after its commit is on the disk. */
  readonly emit: EmitControllerEvent;
}

/** Decides epochs: when, who, with which keys. */
export class Governor {
  private readonly options: GovernorOptions;
  private readonly periodMs: number;
  private readonly intervalMs: number;
  private readonly evaluators: readonly string[];
  private readonly recorder: EpochRecorder;
  private epoch: Epoch | undefined;
  private keys: EpochKeys | undefined;
  /** Members whose reports are missing because the controller was away, until when. */
  private waiting: { since: number; until: number; members: Set<string> } | undefined;
  /** Epoch boundaries are whole periods from here on. All times: the controller's clock. */
  private anchor = 0;
  /** The next decision. */
  private due = 0;
  /** Past this, something keeps epochs from being decided. */
  private overdueAt = 0;
  private cancelTimer: () => void = () => {};
  private busy: Promise<unknown> = Promise.resolve();
  private isClosed = false;

  constructor(options: GovernorOptions) {
    const { settings, crypto, random } = options;
    this.options = options;
    this.periodMs = settings.epochS * 1000;
    this.intervalMs = settings.reportIntervalS * 1000;
    this.recorder = new EpochRecorder(crypto, random, settings);
    this.evaluators = settings.evaluators.map((key) => signingKeyId(crypto, key));
  }

  /** Commits the first epoch ever, or waits for the members of the last one to report again. */
  async start(): Promise<void> {
    const { store, directory, emit, clock, crypto, settings } = this.options;
    const policy = policyText(settings);
    await store.recordStart(clock.now(), policy, policyHash(crypto, policy));
    this.setEpoch(await store.currentEpoch());
    await directory.refresh();
    const { epoch } = this;
    if (epoch && epoch.secret === undefined) {
      emit({ event: 'restored', epoch: epoch.epoch, version: epoch.version });
    }
    await this.exclusively<unknown>(() => (epoch ? this.wait() : this.decide()));
  }

  /** The epoch in force; undefined before the first commit. */
  get current(): Epoch | undefined {
    return this.epoch;
  }

  /**
   * The epoch whose configs may be given out, and its keys. Undefined while there is none, or while
   * none can be decided: better that members run out of time than that they keep who has failed.
   */
  get servable(): { readonly epoch: Epoch; readonly keys: EpochKeys } | undefined {
    if (this.epoch === undefined || this.keys === undefined || this.isOverdue) return undefined;
    return { epoch: this.epoch, keys: this.keys };
  }

  /** Why no epochs are being decided at the moment; undefined if they are. */
  get notReady(): string | undefined {
    if (this.epoch === undefined) return 'No epoch has been committed yet.';
    if (this.isOverdue)
      return `Epoch ${this.epoch.epoch} is over and the next cannot be committed.`;
    if (!this.waiting) return undefined;
    return `Epoch ${this.epoch.epoch} goes on until its members have reported again.`;
  }

  private get isOverdue(): boolean {
    return this.options.clock.now() > this.overdueAt;
  }

  /** Controller's clock of the next scheduled decision, ms. */
  get nextRotationAt(): number {
    return Math.round(this.due);
  }

  /** Starts a new epoch at once; the next boundary is one whole epoch from now. */
  rotate(): Promise<Epoch> {
    return this.exclusively(() => this.decide());
  }

  /** Takes a node out of the mesh for good, with a new epoch. Undefined: no such node. */
  remove(nodeId: string): Promise<Epoch | undefined> {
    return this.exclusively(async () => {
      const { clock, directory, settings } = this.options;
      await directory.refresh();
      if (!directory.nodes.has(nodeId)) return undefined;
      return this.decide({ nodeId, reservedUntil: clock.now() + reservationMs(settings) });
    });
  }

  /** Settles once everything that is being decided or stored now is: never where that hangs. */
  async settled(): Promise<void> {
    await this.busy;
  }

  /** A score of this node was accepted. */
  reported(nodeId: string): void {
    if (!this.waiting?.members.has(nodeId)) return;
    this.exclusively(() => this.stopWaitingFor(nodeId)).catch(this.failed);
  }

  /** What the policy says of each node now; the epoch in force may say otherwise until its end. */
  async verdicts(now = this.options.clock.now()): Promise<Map<string, NodeVerdict>> {
    const { directory, settings, presence } = this.options;
    const { policy, observeOnly } = settings;
    const scores = await this.scores();
    const { waiting, evaluators } = this;
    const members = membersOf(this.epoch);
    const state = {
      nodeIds: directory.nodes.keys(),
      scores,
      evaluators,
      signersOf: (nodeId: string) => this.signersOf(nodeId),
      standings: standingsOf(this.epoch),
      isAwaited: (nodeId: string) => waiting?.members.has(nodeId) === true && now < waiting.until,
      isReachable: (nodeId: string) => presence.has(nodeId) || members.has(nodeId),
      isReleased: false,
      observeOnly,
    };
    const { verdicts } = decideMesh(policy, state, { now, epochMs: this.periodMs });
    return new Map(
      [...verdicts].map(([id, one]) => [id, { ...one, scores: scores.get(id) ?? [] }]),
    );
  }

  /** The newest of each signer, and where a mean is asked for, all of the epoch and of the one before. */
  private async scores(): Promise<ReadonlyMap<string, readonly Score[]>> {
    const { store, settings, clock } = this.options;
    const newest = await store.scores();
    if (everySuite(settings.policy).every((rule) => rule.score === 'newest')) return newest;
    const since = clock.now() - 2 * this.periodMs;
    const recent = await store.scoresSince(since);
    for (const [nodeId, scores] of newest) {
      const older = scores.filter((one) => one.receivedAt < since);
      newest.set(nodeId, [...older, ...(recent.get(nodeId) ?? [])]);
    }
    return newest;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.cancelTimer();
    await this.busy;
    this.keys?.erase();
  }

  private signersOf(nodeId: string): SignersOf {
    const own = [this.options.directory.keyIdOf(nodeId)!];
    return (rule) => (rule.signers === 'node' ? own : this.evaluators);
  }

  /** Lets the epoch in force go on until its members have reported again. */
  private async wait(): Promise<void> {
    const since = this.options.clock.now();
    const until = since + INTERVALS_AWAY * this.intervalMs;
    const members = [...membersOf(this.epoch).keys()];
    this.waiting = { since, until, members: new Set(members) };
    if (members.length === 0) {
      await this.decide();
    } else {
      const { epoch = 0 } = this.epoch ?? {};
      this.options.emit({ event: 'waiting', epoch, until, members });
      this.arm(until, until + this.periodMs);
    }
  }

  private async stopWaitingFor(nodeId: string): Promise<void> {
    const { waiting } = this;
    const isEnrolled = this.options.directory.nodes.has(nodeId);
    if (this.isClosed || !waiting?.members.has(nodeId) || !isEnrolled) return;
    const { store, settings } = this.options;
    const scores = await store.scoresOf(nodeId);
    const { since } = waiting;
    const signers = this.signersOf(nodeId);
    const observedSince = since - this.intervalMs; // clocks differ a little
    if (!hasReportedSince(suitesOf(settings.policy, nodeId), scores, signers, since, observedSince))
      return;
    waiting.members.delete(nodeId);
    if (waiting.members.size === 0) await this.decide();
  }

  /** Decides the epoch that begins now. */
  private async decide(removal?: Removal): Promise<Epoch> {
    const now = this.options.clock.now();
    removal && this.waiting?.members.delete(removal.nodeId);
    if (this.waiting && (this.waiting.members.size === 0 || now >= this.waiting.until)) {
      this.waiting = undefined;
    }
    try {
      const epoch = await this.insist(removal);
      this.anchor = now;
      const due = this.waiting?.until ?? now + this.periodMs;
      this.arm(due, due + this.periodMs);
      return epoch;
    } catch (error) {
      this.arm(now + RETRY);
      throw error;
    }
  }

  /** The timer's part: an epoch is due. */
  private async boundary(): Promise<void> {
    const { clock, overload, emit } = this.options;
    if (this.isClosed) return;
    const { due } = this;
    const now = clock.now();
    if (now < due) return this.arm(due); // timers may fire early
    const missed = Math.max(now - due, overload.take());
    if (this.waiting) {
      await this.decide();
    } else if (missed > this.intervalMs) {
      // Reports were missed: this process was stopped, slept, or had no time for anybody. Members
      // have a chance to report again before it decides, once.
      emit({ event: 'overload', missed_ms: missed });
      await this.wait();
    } else {
      try {
        if (!(await this.commit())) {
          // Another controller was first: at this boundary, or this one has not heard of it before.
          if (this.epoch!.startedAt < due - this.periodMs / 2) await this.insist();
          else this.anchor = now;
        }
        const next = nextBoundary(this.anchor, this.periodMs, Math.max(due, clock.now()));
        this.arm(next, next + this.periodMs);
      } catch (error) {
        this.arm(now + RETRY);
        throw error;
      }
    }
  }

  private arm(due: number, overdueAt = this.overdueAt): void {
    const { clock } = this.options;
    this.cancelTimer();
    this.due = due;
    this.overdueAt = overdueAt;
    if (this.isClosed) return;
    this.cancelTimer = clock.after(due - clock.now(), () => {
      this.exclusively(() => this.boundary()).catch(this.failed);
    });
  }

  /** A decision that must be taken even if another controller takes one at the same time. */
  private async insist(removal?: Removal): Promise<Epoch> {
    for (let attempt = 1; attempt <= COMMIT_ATTEMPTS; attempt++) {
      const committed = await this.commit(removal);
      if (committed) return committed;
    }
    return refuse('epoch_conflict', { detail: 'Another controller was first, again and again.' });
  }

  /** Undefined: another controller was first, and its epoch is the one in force. */
  private async commit(removal?: Removal): Promise<Epoch | undefined> {
    const { store, directory } = this.options;
    for (let attempt = 1; attempt <= COMMIT_ATTEMPTS; attempt++) {
      const revision = await directory.refresh();
      const { next, verdicts, record } = await this.proposal(removal);
      const started = performance.now();
      const step = { verdicts, record, revision, ...(removal ? { removal } : {}) };
      if (await store.commitEpoch(this.epoch, next, step)) {
        if (removal) this.forget(removal.nodeId, revision + 1);
        await this.adopt(next, performance.now() - started);
        return next;
      }
      next.secret?.fill(0);
      const current = await store.currentEpoch();
      if (current && !isSame(current, this.epoch)) {
        await directory.refresh();
        await this.adopt(current, performance.now() - started);
        return undefined;
      }
      // Somebody came, went or moved since the directory was read: no epoch leaves that out.
    }
    throw new Error('the epoch could not be committed: who is enrolled changed all the time');
  }

  private async proposal(
    removal: Removal | undefined,
  ): Promise<{ next: Epoch } & Required<Pick<EpochStep, 'verdicts' | 'record'>>> {
    const { directory, clock, random, settings, headers } = this.options;
    const startedAt = clock.now();
    const verdicts = await this.verdicts(startedAt);
    if (removal) verdicts.delete(removal.nodeId);
    const decided = nextEpoch({
      previous: this.epoch,
      verdicts,
      observeOnly: settings.observeOnly,
      startedAt,
      secret: random(32),
    });
    const next = { ...decided, header: headers.sign(this.epoch, decided, directory.nodes) };
    return { next, verdicts, record: this.recorder.record(next, verdicts) };
  }

  private forget(nodeId: string, revision: number): void {
    this.options.directory.removed(nodeId, revision);
    this.options.presence.forget(nodeId);
  }

  /** Members are told first; ridding the disk of the old secret may take its time after that. */
  private async adopt(epoch: Epoch, commitMs: number): Promise<void> {
    const { store, emit } = this.options;
    const committed = epochCommitted(this.epoch, epoch, commitMs);
    const before = this.brakeOn(this.epoch);
    this.setEpoch(epoch);
    emit(committed);
    const now = this.brakeOn(epoch);
    if (now?.phase !== before?.phase) {
      const { phase = 'open', until = null, held = [], cut = 0 } = now ?? {};
      emit({ event: 'brake', epoch: epoch.epoch, phase, until, held, cut });
    }
    try {
      if (!(await store.scrub())) throw new Error('the secret of the last epoch is still on disk');
    } catch (error) {
      this.failed(error); // the epoch is in force all the same
    }
  }

  private brakeOn(epoch: Epoch | undefined): BrakeStatus | null {
    return brakeStatus(epoch, this.options.settings.policy.brake, this.periodMs);
  }

  private readonly failed = (error: unknown): void => {
    this.options.emit({ event: 'epoch_failed', ...thrown(error) });
  };

  private setEpoch(epoch: Epoch | undefined): void {
    const { crypto, meshId } = this.options;
    this.keys?.erase();
    this.epoch = epoch;
    const secret = epoch?.secret;
    this.keys = secret && new EpochKeys(crypto, meshId, epoch.epoch, secret);
  }

  /** One decision at a time. */
  private exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.busy.then(work);
    this.busy = result.catch(() => {});
    return result;
  }
}

function isSame(one: Epoch, other: Epoch | undefined): boolean {
  return one.epoch === other?.epoch && one.version === other.version;
}
