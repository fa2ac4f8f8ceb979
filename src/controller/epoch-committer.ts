import type { BrakeStatus } from '../contract/epoch.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import { brakeStatus } from './brake-status.ts';
import type { ControllerClock } from './clock.ts';
import type { NodeDirectory } from './directory.ts';
import { type Epoch, nextEpoch } from './epoch.ts';
import { epochCommitted } from './epoch-committed.ts';
import type { EpochHeaders } from './epoch-headers.ts';
import { type EmitControllerEvent, thrown } from './events.ts';
import type { Judging } from './judging.ts';
import type { Presence } from './presence.ts';
import { refuse } from './problem-error.ts';
import { EpochKeys } from './psk.ts';
import { EpochRecorder } from './record/epoch-recorder.ts';
import type { JudgedBy } from './record/policy-text.ts';
import type { Settings } from './settings.ts';
import type { EpochStep, Removal, Store } from './store/store.ts';

/** What was decided about what is not so any more is decided again. */
const ATTEMPTS = 5;

export interface EpochCommitterOptions {
  readonly store: Store;
  readonly directory: NodeDirectory;
  readonly settings: Settings;
  readonly clock: ControllerClock;
  readonly crypto: CryptoProvider;
  readonly random: RandomBytes;
  readonly meshId: Uint8Array;
  readonly presence: Presence;
  readonly headers: EpochHeaders;
  readonly judging: Judging;
  /** Called with an epoch right after its commit is on the disk. */
  readonly emit: EmitControllerEvent;
}

/** What an epoch is decided for, besides its time. */
export interface Occasion {
  readonly removals?: readonly Removal[];
  /** Judged by this once; default: by the settings. */
  readonly by?: JudgedBy;
}

/** The epoch in force with its keys, and how the next takes its place. One call at a time. */
export class EpochCommitter {
  private readonly options: EpochCommitterOptions;
  private readonly recorder: EpochRecorder;
  private epoch: Epoch | undefined;
  private epochKeys: EpochKeys | undefined;
  /** Of the brake in that epoch, by the policy of its time. */
  private phase: BrakeStatus['phase'] | undefined;

  constructor(options: EpochCommitterOptions) {
    const { crypto, random } = options;
    this.options = options;
    this.recorder = new EpochRecorder(crypto, random);
  }

  /** The epoch in force; undefined before the first commit. */
  get current(): Epoch | undefined {
    return this.epoch;
  }

  /** Undefined in an epoch of which nothing may be given out. */
  get keys(): EpochKeys | undefined {
    return this.epochKeys;
  }

  /** Takes up what the store has. */
  async load(): Promise<void> {
    const { store, directory } = this.options;
    this.set(await store.currentEpoch());
    this.phase = this.brakeOn(this.epoch)?.phase;
    await directory.refresh();
  }

  /** Decides and commits. Undefined: another controller was first, and its epoch is the one in force. */
  async commit(occasion: Occasion = {}): Promise<Epoch | undefined> {
    const { store, directory } = this.options;
    const { removals = [] } = occasion;
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const revision = await directory.refresh();
      const { next, ...made } = await this.proposal(occasion);
      const started = performance.now();
      const step = { ...made, revision, removals };
      if (await store.commitEpoch(this.epoch, next, step)) {
        for (const [i, { nodeId }] of removals.entries()) this.forget(nodeId, revision + i + 1);
        await this.adopt(next, performance.now() - started);
        return next;
      }
      next.secret?.fill(0);
      if (await this.follow()) return undefined;
      // Somebody came, went or moved since the directory was read: no epoch leaves that out.
    }
    return refuse('epoch_conflict', { detail: 'Who is enrolled changed again and again.' });
  }

  /** Takes up what another controller committed. False: nothing. */
  async follow(): Promise<boolean> {
    const { store, directory } = this.options;
    const started = performance.now();
    const current = await store.currentEpoch();
    if (current === undefined || isSame(current, this.epoch)) return false;
    await directory.refresh();
    await this.adopt(current, performance.now() - started);
    return true;
  }

  /** A decision that must be taken even if another controller takes one at the same time. */
  async insist(occasion?: Occasion): Promise<Epoch> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const committed = await this.commit(occasion);
      if (committed) return committed;
    }
    return refuse('epoch_conflict', { detail: 'Another controller was first, again and again.' });
  }

  /** Forgets the keys. */
  close(): void {
    this.epochKeys?.erase();
  }

  private async proposal({
    removals = [],
    by = this.options.settings,
  }: Occasion): Promise<{ next: Epoch } & Required<Pick<EpochStep, 'verdicts' | 'record'>>> {
    const { directory, clock, random, settings, headers, judging } = this.options;
    const startedAt = clock.now();
    const gone = removals.map(({ nodeId }) => nodeId);
    const verdicts = await judging.verdicts(this.epoch, startedAt, gone, by);
    const decided = nextEpoch({
      previous: this.epoch,
      verdicts,
      observeOnly: settings.observeOnly,
      startedAt,
      secret: random(32),
    });
    const next = { ...decided, header: await headers.sign(this.epoch, decided, directory.nodes) };
    return { next, verdicts, record: this.recorder.record(this.epoch, next, verdicts, by) };
  }

  private forget(nodeId: string, revision: number): void {
    this.options.directory.removed(nodeId, revision);
    this.options.presence.forget(nodeId);
  }

  /** Members are told first; ridding the disk of the old secret may take its time after that. */
  private async adopt(epoch: Epoch, commitMs: number): Promise<void> {
    const { store, emit } = this.options;
    const committed = epochCommitted(this.epoch, epoch, commitMs);
    const before = this.phase;
    this.set(epoch);
    emit(committed);
    const now = this.brakeOn(epoch);
    this.phase = now?.phase;
    if (this.phase !== before) {
      const { phase = 'open', until = null, held = [], cut = 0 } = now ?? {};
      emit({ event: 'brake', epoch: epoch.epoch, phase, until, held, cut });
    }
    try {
      if (!(await store.scrub())) throw new Error('the secret of the last epoch is still on disk');
    } catch (error) {
      emit({ event: 'epoch_failed', ...thrown(error) }); // the epoch is in force all the same
    }
  }

  private brakeOn(epoch: Epoch | undefined): BrakeStatus | null {
    const { policy, epochS } = this.options.settings;
    return brakeStatus(epoch, policy.brake, epochS * 1000);
  }

  private set(epoch: Epoch | undefined): void {
    const { crypto, meshId } = this.options;
    this.epochKeys?.erase();
    this.epoch = epoch;
    const secret = epoch?.secret;
    this.epochKeys = secret && new EpochKeys(crypto, meshId, epoch.epoch, secret);
  }
}

function isSame(one: Epoch, other: Epoch | undefined): boolean {
  return one.epoch === other?.epoch && one.version === other.version;
}
