import { compareVersions } from '../contract/config.ts';
import { parseJson } from '../contract/encoding.ts';
import { HEADER_EVENT_NAME } from '../contract/epoch/header.ts';
import { KEYS_EVENT_NAME } from '../contract/epoch/keys-answer.ts';
import { STREAM_EVENT_NAME } from '../contract/stream-event.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { SuspendDetector } from '../ground/suspend.ts';
import type { Judgement, OwnIdentity } from './accepted-config.ts';
import { Backoff } from './backoff.ts';
import { CallReports } from './call-reports.ts';
import type { AgentClock, RandomNumber } from './clock.ts';
import { ConfigFetcher } from './config-fetcher.ts';
import { CallError } from './controller-answer.ts';
import type { ControllerClient } from './controller-client.ts';
import type { Counters } from './counters.ts';
import { EpochAgent } from './epoch-agent.ts';
import { EventStream } from './event-stream.ts';
import type { EmitEvent } from './events.ts';
import type { HeaderChain } from './header-chain.ts';
import { LogCheck } from './log-check.ts';
import type { Membership } from './membership.ts';
import type { NodeState } from './node-state.ts';
import { PushedEvents } from './pushed-events.ts';

export interface ConfigAgentOptions {
  readonly client: ControllerClient;
  readonly membership: Membership;
  readonly state: NodeState;
  readonly identity: OwnIdentity;
  readonly signingSeed: Uint8Array;
  readonly clock: AgentClock;
  readonly crypto: CryptoProvider;
  readonly random: RandomNumber;
  readonly counters: Counters;
  readonly emit: EmitEvent;
  /** ms between polls; production: 10 s. Also the longest wait after failures. */
  readonly pollMs: number;
  /** False: polling alone. */
  readonly push: boolean;
}

const FIRST_RETRY_MS = 250;
/** After a push every node fetches its config: spread over this much per node of the mesh. */
const FETCH_JITTER_PER_NODE_MS = 2;
const MAX_FETCH_JITTER_MS = 2000;
/** How long (ms) scores wait for the first answer to a request for a config. */
const ANSWER_PATIENCE_MS = 5000;
/** The keys of an epoch are pushed once they are sealed: this long (ms) they are not asked for. */
const KEYS_PATIENCE_MS = 250;
/** How often lifetime and suspend are looked at. */
const WATCH_MS = 250;

/** Keeps the device's configuration that of the controller: push, poll, lifetime, suspend. */
export class ConfigAgent {
  private readonly options: ConfigAgentOptions;
  private wakePoll = new AbortController();
  private readonly calls: CallReports;
  private readonly configs: ConfigFetcher;
  private readonly epochs: EpochAgent;
  /** Whether the keys are sealed for all at once, and leases are asked for in the place of configs. */
  private isLeased = false;
  /** What the controller's log said, and whether it goes together. */
  readonly log: LogCheck;
  private readonly stream: EventStream;
  private readonly pushes: PushedEvents;
  private readonly firstAnswer = Promise.withResolvers<void>();

  constructor(options: ConfigAgentOptions) {
    this.options = options;
    const { client, signingSeed } = options;
    this.log = new LogCheck({
      ...options,
      fetch: (oldSize, size) => client.getConsistency(signingSeed, oldSize, size),
    });
    this.epochs = new EpochAgent({ ...options, log: this.log });
    this.configs = new ConfigFetcher({ ...options, headers: this.headers, log: this.log });
    this.calls = new CallReports(options.counters, options.emit);
    const { crypto, identity, clock } = options;
    this.pushes = new PushedEvents(crypto, identity, clock);
    this.stream = new EventStream({
      ...options,
      nodeId: identity.nodeId,
      calls: this.calls,
      longestWaitMs: options.pollMs,
      opened: () => this.pollNow(),
      event: (name, data, signal) => this.streamed(name, data, signal),
    });
  }

  /** The signed headers that this node has seen. */
  get headers(): HeaderChain {
    return this.epochs.headers;
  }

  /** True while an event stream is open and not silent. */
  get streaming(): boolean {
    return this.stream.connected && this.pushes.keepsUpWith(this.options.membership.mark);
  }

  /**
   * Settles when the controller has answered for the first time, or has not for a while: who was given no
   * config is let in by no epoch, whatever it scores.
   */
  get answered(): Promise<void> {
    return this.firstAnswer.promise;
  }

  /** Runs until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const loops = [this.pollLoop(signal), this.watchLoop(signal)];
    if (this.options.push) loops.push(this.stream.run(signal));
    void this.options.clock.sleep(ANSWER_PATIENCE_MS, signal).then(this.firstAnswer.resolve);
    await Promise.all(loops);
  }

  /** Fetches the config now instead of at the next poll. */
  pollNow(): void {
    this.wakePoll.abort();
  }

  private async pollLoop(signal: AbortSignal): Promise<void> {
    const { clock, random, pollMs } = this.options;
    const backoff = new Backoff(FIRST_RETRY_MS, pollMs, random);
    while (!signal.aborted) {
      this.wakePoll = new AbortController(); // a wish that comes during the fetch counts
      const ok = await this.fetch(signal).catch((error: unknown) => {
        this.calls.failed('config', error); // e.g. the disk is full: what is in force stays, and expires
        return false;
      });
      if (ok) {
        this.firstAnswer.resolve();
        backoff.reset();
      }
      const wait = ok ? pollMs * (0.9 + 0.2 * random()) : backoff.next();
      await clock.sleep(wait, AbortSignal.any([signal, this.wakePoll.signal]));
    }
  }

  /** Asks for a config, or for a lease, whichever the keys of the epoch come with. */
  private async fetch(signal: AbortSignal): Promise<boolean> {
    try {
      return this.isLeased ? await this.fetchLease(signal) : await this.fetchConfig(signal);
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      if (error.code === 'keys_elsewhere') {
        this.isLeased = !this.isLeased;
        return this.isLeased ? this.fetchLease(signal) : this.fetchConfig(signal);
      }
      if (!signal.aborted) this.calls.failed('config', error);
      return false;
    }
  }

  private async fetchLease(signal: AbortSignal): Promise<boolean> {
    const judged = await this.epochs.fetch(signal);
    this.calls.succeeded('config');
    if (judged === 'config') {
      this.isLeased = false;
      return this.fetchConfig(signal);
    }
    this.options.counters.add('lease_answers');
    return this.accept('lease', await this.configs.unlessForked(judged), signal);
  }

  private async fetchConfig(signal: AbortSignal): Promise<boolean> {
    const { counters } = this.options;
    const answer = await this.configs.fetch(signal);
    this.calls.succeeded('config');
    counters.add('config_answers');
    if (answer.body === undefined) {
      counters.add('config_unchanged');
      return true;
    }
    return this.accept('config', await this.configs.judge(answer), signal);
  }

  /** Puts in force what was found good, and says what was not. */
  private async accept(
    what: 'config' | 'lease' | 'push',
    judged: Judgement,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { client, membership, emit, counters } = this.options;
    if ('ignored' in judged) {
      counters.add(`${what}_ignored_${judged.ignored}`);
      emit({ event: 'ignored', what, reason: judged.ignored, detail: judged.detail });
      if (judged.ignored === 'older') await this.showNewest(signal);
      return false;
    }
    client.learnProtocol(judged.config.protocol);
    for (const node of judged.refusedPeers) {
      counters.add('peers_refused_key_changed');
      emit({ event: 'key_changed', node, accepted: false });
    }
    for (const node of judged.changedPeers) {
      counters.add('peers_taken_key_changed');
      emit({ event: 'key_changed', node, accepted: true });
    }
    return membership.apply(judged.config);
  }

  /** What came was older than what this node has seen: if the controller has forgotten that, it should know. */
  private async showNewest(signal: AbortSignal): Promise<void> {
    const { held } = this.headers;
    const newest = this.pushes.newerThan(held?.document) ?? held?.envelope;
    if (newest === undefined) return;
    try {
      await this.options.client.postSeen(newest, signal);
      this.calls.succeeded('seen');
    } catch (error) {
      if (!signal.aborted) this.calls.failed('seen', error);
    }
  }

  private async streamed(name: string, data: string, signal: AbortSignal): Promise<void> {
    if (name === STREAM_EVENT_NAME) await this.pushed(data, signal);
    if (name === HEADER_EVENT_NAME) this.headerPushed(data);
    if (name === KEYS_EVENT_NAME) this.keysPushed(data, signal);
  }

  private async pushed(data: string, signal: AbortSignal): Promise<void> {
    const { identity, membership, counters, emit, clock, random } = this.options;
    const read = this.pushes.read(data, membership.mark);
    if ('ignored' in read) {
      const { ignored: reason, detail } = read;
      counters.add(`push_ignored_${reason}`);
      emit({ event: 'ignored', what: 'push', reason, detail });
      return;
    }
    const { epoch, version, removed } = read;
    const missedSome = version > membership.mark.version + 1;
    const isNew = await membership.removeAtOnce({ epoch, version }, removed, identity.nodeId);
    if (!isNew) {
      counters.add('push_ignored_old'); // also the greeting of a new stream: nothing to say
      return;
    }
    counters.add('pushes');
    // Whom a missed push would have removed only the config can tell, so that is not put off.
    const nodes = missedSome ? 0 : (membership.inForce?.roster.length ?? 0);
    const jitter = random() * Math.min(MAX_FETCH_JITTER_MS, nodes * FETCH_JITTER_PER_NODE_MS);
    const patience = this.isLeased && !missedSome ? KEYS_PATIENCE_MS : 0;
    void clock.sleep(patience + jitter, signal).then(() => {
      const present = membership.inForce?.document;
      if (!present || compareVersions(present, membership.mark) < 0) this.pollNow();
    });
  }

  /** Those between may have to be asked for: what the stream brings next does not wait for that. */
  private headerPushed(data: string): void {
    const envelope = parseJson(new TextEncoder().encode(data));
    this.headers.take(envelope).catch((error: unknown) => this.calls.failed('header', error));
  }

  private keysPushed(data: string, signal: AbortSignal): void {
    this.epochs
      .keysPushed(data)
      .then(async (judged) => {
        const kept = judged && (await this.configs.unlessForked(judged));
        if (kept === undefined || !(await this.accept('push', kept, signal))) this.pollNow();
      })
      .catch((error: unknown) => this.calls.failed('push', error));
  }

  private async watchLoop(signal: AbortSignal): Promise<void> {
    const { clock, membership, emit, counters } = this.options;
    const suspend = new SuspendDetector(
      () => clock.boot(),
      () => clock.monotonic(),
    );
    while (!signal.aborted) {
      await clock.sleep(WATCH_MS, signal);
      if (signal.aborted) return;
      const suspended = suspend.sleptFor();
      await membership.checkLifetime();
      if (suspended === 0) continue;
      counters.add('resumes');
      emit({ event: 'resumed', suspended_s: Math.round(suspended) });
      await membership.expireSessions();
      this.pollNow();
    }
  }
}
