import { signingKeyId } from '../contract/ids.ts';
import type { CryptoProvider, RandomBytes } from '../crypto/provider.ts';
import type { ControllerClock } from './clock.ts';
import { type Epoch, mayDecideAfterStart, nextBoundary, nextEpoch } from './epoch.ts';
import { judge, type Verdict } from './policy.ts';
import { pairPsk } from './psk.ts';
import type { Settings } from './settings.ts';
import type { NodeRecord, Store } from './store.ts';

/** How far a restored controller jumps ahead of what its backup knew. */
const RESTORED_JUMP = 1_000_000;
/** After a start, an old epoch waits this many report intervals for its members. */
const INTERVALS_AFTER_START = 3;
/** A commit lost to another controller is tried again on top of what that one decided. */
const COMMIT_ATTEMPTS = 5;

export interface GovernorOptions {
  readonly store: Store;
  readonly settings: Settings;
  readonly clock: ControllerClock;
  readonly crypto: CryptoProvider;
  readonly random: RandomBytes;
  readonly meshId: Uint8Array;
  /** The store was restored from a backup: epochs and versions may have gone on since. */
  readonly restored?: boolean;
  /** Called right after an epoch's commit is on the disk. */
  readonly onEpoch: (epoch: Epoch) => void;
  readonly onError: (error: unknown) => void;
}

/** Decides epochs: when, who, with which keys. */
export class Governor {
  rotations = 0;
  exclusions = 0;

  private readonly options: GovernorOptions;
  private readonly periodMs: number;
  private epoch: Epoch | undefined;
  private directory = new Map<string, NodeRecord>();
  private byKeyId = new Map<string, NodeRecord>();
  /** Monotonic time that epoch boundaries count from. */
  private anchor = 0;
  private deadlineAfterStart = 0;
  private isWaitingAfterStart = false;
  private jump = 0;
  private readonly reportedSinceStart = new Set<string>();
  private cancelTimer: () => void = () => {};
  private busy: Promise<unknown> = Promise.resolve();
  private isClosed = false;

  constructor(options: GovernorOptions) {
    this.options = options;
    this.periodMs = options.settings.epochS * 1000;
  }

  /** Loads what is stored and commits the first epoch, or waits for the members of the last one. */
  async start(): Promise<void> {
    const { store, clock, settings, restored } = this.options;
    this.epoch = await store.currentEpoch();
    await this.reloadNodes();
    this.jump = restored ? RESTORED_JUMP : 0;
    this.anchor = clock.monotonic();
    const wait = INTERVALS_AFTER_START * settings.reportIntervalS * 1000;
    this.deadlineAfterStart = this.anchor + wait;
    // Without its secret the old epoch cannot be served: nothing to wait with.
    this.isWaitingAfterStart = this.epoch?.secret !== undefined && !restored;
    if (this.isWaitingAfterStart) {
      this.cancelTimer = clock.after(wait, () => this.decideAfterStart());
      this.decideAfterStart();
    } else {
      await this.rotate();
    }
  }

  /** The epoch in force; undefined before the first commit. */
  get current(): Epoch | undefined {
    return this.epoch;
  }

  /** False until an epoch of this run was decided. */
  get isReady(): boolean {
    return this.epoch?.secret !== undefined && !this.isWaitingAfterStart;
  }

  /** Enrolled nodes by id. */
  get nodes(): ReadonlyMap<string, NodeRecord> {
    return this.directory;
  }

  /** The node whose signing key has this `keyid`. */
  nodeOfKey(keyid: string): NodeRecord | undefined {
    return this.byKeyId.get(keyid);
  }

  /** Wall clock of the next scheduled rotation, ms. */
  nextRotationAt(): number {
    const { clock } = this.options;
    const now = clock.monotonic();
    const at = this.isWaitingAfterStart
      ? this.deadlineAfterStart
      : nextBoundary(this.anchor, this.periodMs, now);
    return Math.round(clock.wall() + at - now);
  }

  /** Starts a new epoch at once; the next boundary is one whole epoch from now. */
  rotate(): Promise<Epoch> {
    this.anchor = this.options.clock.monotonic();
    return this.exclusively(() => this.commit());
  }

  /** Takes a node out of the mesh for good, with a new epoch. False if there is no such node. */
  remove(nodeId: string): Promise<Epoch | undefined> {
    const { store, clock } = this.options;
    return this.exclusively(async () => {
      if (!(await store.removeNode(nodeId, clock.wall()))) return undefined;
      await this.reloadNodes();
      this.anchor = clock.monotonic();
      return this.commit();
    });
  }

  /** A node was enrolled. */
  async reloadNodes(): Promise<void> {
    const nodes = await this.options.store.nodes();
    const { crypto } = this.options;
    this.directory = new Map(nodes.map((node) => [node.nodeId, node]));
    this.byKeyId = new Map(nodes.map((node) => [signingKeyId(crypto, node.signing), node]));
  }

  /** A score of this node was accepted. */
  reported(nodeId: string): void {
    if (!this.isWaitingAfterStart) return;
    this.reportedSinceStart.add(nodeId);
    this.decideAfterStart();
  }

  /** What the policy says of each node now; the epoch in force may say otherwise until its end. */
  async verdicts(): Promise<Map<string, Verdict>> {
    const { store, settings, clock } = this.options;
    const scores = await store.scores();
    const now = clock.wall();
    return new Map(
      [...this.directory.keys()].map((id) => [
        id,
        judge(settings.policy, scores.get(id) ?? new Map(), now),
      ]),
    );
  }

  /** This epoch's pre-shared keys of `node` with each of `peers`; the caller zeroes them. */
  pairPsks(epoch: Epoch, node: NodeRecord, peers: readonly NodeRecord[]): Uint8Array[] {
    const { crypto, meshId } = this.options;
    // A past epoch's secret is zeroed: keys derived from it would be known to everyone.
    if (epoch !== this.epoch || epoch.secret === undefined) throw new Error('the epoch is over');
    const keys = { meshId, epoch: epoch.epoch, secret: epoch.secret };
    return peers.map((peer) => pairPsk(crypto, keys, node, peer));
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.cancelTimer();
    await this.busy;
    this.epoch?.secret?.fill(0);
  }

  private decideAfterStart(): void {
    const now = this.options.clock.monotonic();
    if (!this.isWaitingAfterStart || this.isClosed) return;
    if (!mayDecideAfterStart(this.epoch, this.reportedSinceStart, now, this.deadlineAfterStart)) {
      return;
    }
    this.isWaitingAfterStart = false;
    this.rotate().catch(this.options.onError);
  }

  private schedule(): void {
    const { clock, onError } = this.options;
    this.cancelTimer();
    if (this.isClosed) return;
    const now = clock.monotonic();
    const boundary = nextBoundary(this.anchor, this.periodMs, now);
    this.cancelTimer = clock.after(boundary - now, () => {
      this.exclusively(() => this.commit()).catch(onError);
    });
  }

  private async commit(): Promise<Epoch> {
    const { store, clock, random, settings, onEpoch } = this.options;
    for (let attempt = 1; attempt <= COMMIT_ATTEMPTS; attempt++) {
      const previous = await store.currentEpoch();
      const epoch = nextEpoch(previous, await this.verdicts(), {
        startedAt: clock.wall(),
        secret: random(32),
        observeOnly: settings.observeOnly,
        jump: this.jump,
      });
      if (!(await store.commitEpoch(previous, epoch))) {
        await this.reloadNodes();
        continue;
      }
      this.epoch?.secret?.fill(0);
      this.epoch = epoch;
      this.jump = 0;
      this.rotations++;
      this.exclusions += epoch.removed.length;
      onEpoch(epoch);
      this.schedule();
      return epoch;
    }
    this.schedule();
    throw new Error('the epoch could not be committed: another controller was always first');
  }

  /** One decision at a time. */
  private exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.busy.then(work);
    this.busy = result.catch(() => {});
    return result;
  }
}
