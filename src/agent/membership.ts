import { compareVersions, type RosterEntry } from '../contract/config.ts';
import { NodeList } from '../contract/node-list.ts';
import type { DeviceChange, Tunnel } from '../tunnel/create-tunnel.ts';
import type { AcceptedConfig } from './accepted-config.ts';
import type { AgentClock } from './clock.ts';
import type { Counters } from './counters.ts';
import type { EmitEvent } from './events.ts';
import type { Mark, NodeState } from './node-state.ts';
import { isAnybodyMissing, type Pins, updatePins } from './pins.ts';
import {
  type DesiredPeer,
  type DesiredPeers,
  reconcile,
  removalOf,
  removalsOf,
} from './reconcile.ts';

/**
 * `starting`   no config yet: the device has no peers
 * `member`     a config that allows us is in force
 * `denied`     the newest config says that we are out
 * `expired`    the lifetime of the last config is over: failed closed, credentials kept
 */
export type MembershipState = 'starting' | 'member' | 'denied' | 'expired';

export interface MembershipOptions {
  readonly tunnel: Pick<Tunnel, 'configure' | 'expireKeypairs'>;
  readonly state: NodeState;
  readonly clock: AgentClock;
  /** Length of an epoch at enrolment, seconds: what the wait for a pin goes by. */
  readonly epochS: number;
  readonly counters: Counters;
  readonly emit: EmitEvent;
  /** Wall clock, ms: the latest date on a handshake of the device; undefined if nobody can tell. */
  readonly datedUntil?: () => number | undefined;
  /** Told until when (boot clock, seconds) the device may stay as it is. */
  readonly onLease?: (until: number) => void;
}

const NO_PEERS: DesiredPeers = { peers: NodeList.of<DesiredPeer>([]) };

/**
 * What is in force on the device, and the rules about time and order (docs/GOVERNANCE.md). Every
 * change goes through one queue, so that no two of them interleave and the newest wins.
 */
export class Membership {
  private readonly options: MembershipOptions;
  private queue: Promise<unknown> = Promise.resolve();
  private highest: Mark;
  /** Undefined while the device's content is unknown (before the start, after a failed change). */
  private applied: DesiredPeers | undefined;
  private config: AcceptedConfig | undefined;
  private current: MembershipState = 'starting';
  /** Boot clock, seconds, when the peers of the present generation were handed to the device. */
  private appliedAt = 0;
  /** Boot clock, seconds, when the pins were last compared with a config. */
  private pinsAt: number | undefined;
  /** Pins that nothing but another roster changes, and the roster that they were compared with. */
  private settledPins:
    | { readonly pins: Pins; readonly roster: AcceptedConfig['roster'] }
    | undefined;

  constructor(options: MembershipOptions) {
    this.options = options;
    this.highest = options.state.readMark();
  }

  get state(): MembershipState {
    return this.current;
  }

  get mark(): Mark {
    return this.highest;
  }

  /** The config in force; undefined before the first one and after its lifetime. */
  get inForce(): AcceptedConfig | undefined {
    return this.current === 'expired' ? undefined : this.config;
  }

  /** Everybody the last config spoke of, also past its lifetime: the probe goes on asking. */
  get roster(): readonly RosterEntry[] {
    return this.config?.roster ?? [];
  }

  get peers(): NodeList<DesiredPeer> {
    return (this.applied ?? NO_PEERS).peers;
  }

  get peersSince(): number {
    return this.appliedAt;
  }

  /** Empties the device: whatever it held before this agent started is not ours to trust. */
  start(): Promise<void> {
    return this.inTurn(async () => {
      await this.options.tunnel.configure({ replacePeers: true, peers: [] });
      this.applied = NO_PEERS;
    });
  }

  /** Puts an accepted config in force. False if something newer came meanwhile or it failed. */
  apply(config: AcceptedConfig): Promise<boolean> {
    return this.inTurn(async () => {
      const { clock, counters } = this.options;
      const { document } = config;
      if (compareVersions(document, this.highest) < 0 || clock.boot() >= config.expiresAt) {
        counters.add('config_ignored_overtaken');
        return false;
      }
      try {
        await this.raiseMark(document); // on the disk before it has any effect
        await this.updatePins(config);
      } catch (error) {
        this.diskFailed(error); // what is in force stays until its lifetime
        return false;
      }
      // The disk took its time, and a push may have come meanwhile.
      if (compareVersions(document, this.highest) < 0 || clock.boot() >= config.expiresAt) {
        counters.add('config_ignored_overtaken');
        return false;
      }

      this.options.onLease?.(config.expiresAt); // before keys that need it are made
      const before = this.applied;
      const { peers, keys } = config;
      const desired: DesiredPeers = { peers, keys };
      const change = reconcile(before, desired);
      const dated = change && { ...change, earliestTime: this.earliestTime(config) };
      if (dated && !(await this.change(dated, desired))) return false;
      if (change) this.appliedAt = clock.boot();
      this.inForceNow(config, before ?? NO_PEERS);
      await this.rememberDates();
      return true;
    });
  }

  /**
   * A signed word newer than what is in force, a push or a config that has still to be looked into: its
   * removals hold before anything is fetched, and before anything that waits for its turn, or for a disk.
   */
  async removeAtOnce(
    { epoch, version }: Mark,
    nodes: readonly string[],
    ownId: string,
  ): Promise<boolean> {
    const mark = { epoch, version }; // nothing else of what it may be part of
    const { clock, emit, state } = this.options;
    const receivedAt = clock.monotonic();
    const order = compareVersions(mark, this.highest);
    // What the config in force was decided after holds in it. Whatever came between that and the newest may
    // be told later: who hears of an epoch on connecting hears of no removal at first, and headers that
    // were missed come when newer ones are known.
    if (this.isDecidedAfter(mark)) return false;
    const isMore = nodes.some((nodeId) => nodeId === ownId || this.peers.has(nodeId));
    if (order <= 0 && !isMore) return false;
    // In this process the mark counts from here on: no older config lets anybody in again.
    if (order > 0) this.highest = mark;
    const gone = nodes.includes(ownId) ? this.peers.keys() : nodes;
    const change = removalOf(this.applied, gone);
    const removed = change ? this.refusable(change) : Promise.resolve(true);
    const turn = this.inTurn(async () => {
      const wasRemoved = await removed;
      if (this.isDecidedAfter(mark)) return this.putBack(gone);
      // What was under way when the push came may have had these peers in it; and a refusal is met
      // by removing everybody.
      const again = removalOf(this.applied, gone);
      const applied = again ? await this.change(again, without(this.applied, gone)) : wasRemoved;
      if (change && applied) {
        const took_ms = Math.round((clock.monotonic() - receivedAt) * 1000) / 1000;
        emit({ event: 'removed', ...mark, nodes: nodes.filter((id) => id !== ownId), took_ms });
      }
    });
    if (order > 0) await state.writeMark(mark).catch((error: unknown) => this.diskFailed(error));
    await turn;
    return true;
  }

  /** Whether what is in force is of this version or a later one. */
  private isDecidedAfter(mark: Mark): boolean {
    return this.config !== undefined && compareVersions(this.config.document, mark) >= 0;
  }

  /** A config that came into force meanwhile has peers that an earlier word took off the device. */
  private async putBack(nodes: readonly string[]): Promise<void> {
    const { applied } = this;
    const change = applied && reconcile(without(applied, nodes), applied);
    if (change) await this.change(change, applied);
  }

  /** Fails closed if the lifetime is over. To be called often; cheap when it is not. */
  async checkLifetime(): Promise<void> {
    const expiresAt = this.config?.expiresAt;
    if (expiresAt === undefined || this.current === 'expired') return;
    if (this.options.clock.boot() < expiresAt) return;
    await this.inTurn(async () => {
      const { clock, counters, emit } = this.options;
      const config = this.config;
      if (!config || this.current === 'expired' || clock.boot() < config.expiresAt) return;
      const silent = clock.boot() - (config.expiresAt - config.document.lifetime_s);
      this.current = 'expired';
      counters.add('fail_closed');
      emit({ event: 'fail_closed', epoch: config.document.epoch, silent_s: Math.round(silent) });
      await this.change({ replacePeers: true, peers: [] }, NO_PEERS);
    });
  }

  /** After a suspend: whatever sessions there were, their other ends have gone on without us. */
  expireSessions(): Promise<void> {
    return this.inTurn(() => this.options.tunnel.expireKeypairs(this.highest.epoch + 1));
  }

  /** Empties the device at the end. */
  stop(): Promise<void> {
    return this.inTurn(async () => {
      await this.change({ replacePeers: true, peers: [] }, NO_PEERS);
    });
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.queue.then(work);
    this.queue = turn.catch(() => {});
    return turn;
  }

  private async raiseMark(mark: Mark): Promise<void> {
    if (compareVersions(mark, this.highest) <= 0) return;
    const { epoch, version } = mark;
    await this.options.state.writeMark({ epoch, version });
    if (compareVersions(mark, this.highest) > 0) this.highest = { epoch, version };
  }

  /**
   * Peers take a handshake only if it is dated later than those before it. So ours are dated by the
   * controller's time, or by what was used before the last restart: a machine that boots with a clock
   * that is behind (none has one that never is) is heard all the same.
   */
  private earliestTime({ document }: AcceptedConfig): number {
    return Math.max(document.issued_at, this.options.state.readHandshakeDate());
  }

  private async rememberDates(): Promise<void> {
    const { state, datedUntil, epochS } = this.options;
    const until = datedUntil?.();
    if (until === undefined || until <= state.readHandshakeDate()) return;
    // Ahead of what will be used until the next config, so that each need not be written.
    await state.writeHandshakeDate(Math.ceil(until + 3 * epochS * 1000)).catch((error: unknown) => {
      this.diskFailed(error);
    });
  }

  private async updatePins(config: AcceptedConfig): Promise<void> {
    const { state, epochS } = this.options;
    const { roster, peers } = config;
    const passed = this.passedSinceConfig();
    const pins = state.readPins();
    if (pins === this.settledPins?.pins && roster === this.settledPins.roster) return;
    const records = peers.items.map((peer) => peer.record);
    const newPins = updatePins(pins, config, records, epochS, passed);
    if (newPins !== pins) await state.writePins(newPins);
    this.settledPins = isAnybodyMissing(newPins, epochS) ? undefined : { pins: newPins, roster };
  }

  /** Seconds on the boot clock since the config before this one; 0 for the first of this process. */
  private passedSinceConfig(): number {
    const now = this.options.clock.boot();
    const passed = this.pinsAt === undefined ? 0 : now - this.pinsAt;
    this.pinsAt = now;
    return passed;
  }

  private diskFailed(error: unknown): void {
    this.options.counters.add('disk_errors');
    this.options.emit({ event: 'file', path: 'state', ok: false, detail: messageOf(error) });
  }

  /** Changes the device; false if it refuses. */
  private async refusable(change: DeviceChange): Promise<boolean> {
    try {
      await this.options.tunnel.configure(change);
      return true;
    } catch {
      return false;
    }
  }

  /** Changes the device. If it refuses, at least whoever must go goes, or everybody. */
  private async change(change: DeviceChange, result: DesiredPeers): Promise<boolean> {
    const { tunnel, counters, emit } = this.options;
    try {
      await tunnel.configure(change);
      this.applied = result;
      return true;
    } catch (error) {
      counters.add('device_errors');
      emit({ event: 'device_error', detail: messageOf(error) });
    }
    try {
      await tunnel.configure(removalsOf(change));
    } catch {
      await tunnel.configure({ replacePeers: true, peers: [] }).catch(() => {});
    }
    this.applied = undefined; // the next config replaces everything
    return false;
  }

  private inForceNow(config: AcceptedConfig, before: DesiredPeers): void {
    const { emit, counters } = this.options;
    const { document } = config;
    const previous = this.config?.document;
    const recovered = this.current === 'expired';
    this.config = config;
    this.current = document.allowed ? 'member' : 'denied';
    counters.add('configs_applied');
    if (recovered) emit({ event: 'recovered', epoch: document.epoch });
    const same =
      previous?.epoch === document.epoch && previous.version === document.version && !recovered;
    if (same) return;
    emit({
      event: 'config',
      epoch: document.epoch,
      version: document.version,
      allowed: document.allowed,
      reason: document.reason,
      explanation: document.explanation,
      members: this.peers.keys(),
      removed: this.peers.changesSince(before.peers).removed.map(({ nodeId }) => nodeId),
    });
  }
}

function without(desired: DesiredPeers | undefined, nodes: Iterable<string>): DesiredPeers {
  const { peers, keys } = desired ?? NO_PEERS;
  return { peers: peers.with(nodes, []), keys };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
