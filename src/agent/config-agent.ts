import { compareVersions } from '../contract/config.ts';
import { parseJson, toBase64 } from '../contract/encoding.ts';
import { type Envelope, openEnvelope, PAYLOAD_TYPES } from '../contract/envelope.ts';
import { HEADER_EVENT_NAME } from '../contract/epoch/header.ts';
import { KEYS_EVENT_NAME } from '../contract/epoch/keys-answer.ts';
import {
  STREAM_EVENT_NAME,
  STREAM_HEARTBEAT_S,
  streamEventSchema,
} from '../contract/stream-event.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { SuspendDetector } from '../ground/suspend.ts';
import {
  type AcceptedConfig,
  type IgnoredConfig,
  isTooFar,
  type Judgement,
  judgeConfig,
  type OwnIdentity,
} from './accepted-config.ts';
import { Backoff } from './backoff.ts';
import type { AgentClock, RandomNumber } from './clock.ts';
import { misfit } from './config-header.ts';
import { CallError } from './controller-answer.ts';
import type { ControllerClient } from './controller-client.ts';
import type { Counters } from './counters.ts';
import { EpochAgent } from './epoch-agent.ts';
import type { EmitEvent } from './events.ts';
import type { HeaderChain } from './header-chain.ts';
import { LogCheck } from './log-check.ts';
import type { Membership } from './membership.ts';
import type { Mark, NodeState } from './node-state.ts';
import { pinCheck } from './pins.ts';
import { RecordCache } from './record-cache.ts';
import { SseParser } from './sse.ts';

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

/** A stream is given up after this many heartbeats have been missed (it may be half-open). */
const MISSED_HEARTBEATS = 3;
const FIRST_RETRY_MS = 250;
/** After a push every node fetches its config: spread over this much per node of the mesh. */
const FETCH_JITTER_PER_NODE_MS = 2;
const MAX_FETCH_JITTER_MS = 2000;
/** The keys of an epoch are pushed once they are sealed: this long (ms) they are not asked for. */
const KEYS_PATIENCE_MS = 250;
/** A push comes within moments of the commit: later than this (ms) it is being withheld. */
const MAX_BEHIND_MS = 5000;
/** How often lifetime and suspend are looked at. */
const WATCH_MS = 250;

/** Keeps the device's configuration that of the controller: push, poll, lifetime, suspend. */
export class ConfigAgent {
  private readonly options: ConfigAgentOptions;
  private wakePoll = new AbortController();
  /** Calls that failed last time, so that a change is reported once. */
  private readonly failing = new Set<string>();
  private readonly records: RecordCache;
  private readonly epochs: EpochAgent;
  /** Whether the keys are sealed for all at once, and leases are asked for in the place of configs. */
  private isLeased = false;
  /** What the controller's log said, and whether it goes together. */
  readonly log: LogCheck;
  private connected = false;
  /** The newest that the stream has told of, signed; heartbeats alone could be anybody's. */
  private pushedMark: Mark = { epoch: 0, version: 0 };
  /** What the stream told of it. */
  private pushedEvent: Envelope | undefined;
  /** Since when configs tell of something newer, ms monotonic. */
  private behindSince: number | undefined;

  constructor(options: ConfigAgentOptions) {
    this.options = options;
    this.records = new RecordCache(options.crypto);
    const { client, signingSeed } = options;
    this.log = new LogCheck({
      ...options,
      fetch: (oldSize, size) => client.getConsistency(signingSeed, oldSize, size),
    });
    this.epochs = new EpochAgent(options);
  }

  /** The signed headers that this node has seen. */
  get headers(): HeaderChain {
    return this.epochs.headers;
  }

  /** True while an event stream is open and not silent. */
  get streaming(): boolean {
    const { membership, clock } = this.options;
    if (!this.connected) return false;
    if (compareVersions(membership.mark, this.pushedMark) <= 0) {
      this.behindSince = undefined;
      return true;
    }
    this.behindSince ??= clock.monotonic();
    return clock.monotonic() - this.behindSince < MAX_BEHIND_MS;
  }

  /** Runs until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const loops = [this.pollLoop(signal), this.watchLoop(signal)];
    if (this.options.push) loops.push(this.streamLoop(signal));
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
        this.failed('config', error); // e.g. the disk is full: what is in force stays, and expires
        return false;
      });
      if (ok) backoff.reset();
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
      if (!signal.aborted) this.failed('config', error);
      return false;
    }
  }

  private async fetchLease(signal: AbortSignal): Promise<boolean> {
    const judged = await this.epochs.fetch(signal);
    this.succeeded('config');
    if (judged === 'config') {
      this.isLeased = false;
      return this.fetchConfig(signal);
    }
    this.options.counters.add('lease_answers');
    return this.accept('lease', await this.unlessForked(judged), signal);
  }

  /** Nothing is taken any more from whoever keeps two logs. */
  private async unlessForked(judged: Judgement): Promise<Judgement> {
    if ('ignored' in judged) return judged;
    const detail = await this.log.contradiction(judged.config.checkpoint);
    if (detail === undefined) return judged;
    await this.removeMissing(judged.config);
    return { ignored: 'forked_log', detail };
  }

  private async fetchConfig(signal: AbortSignal): Promise<boolean> {
    const { client, identity, signingSeed, membership, crypto, clock, state, counters } =
      this.options;
    const answer = await client.getConfig(identity.nodeId, signingSeed, this.etag(), signal);
    this.succeeded('config');
    counters.add('config_answers');
    if (answer.body === undefined) {
      counters.add('config_unchanged');
      return true;
    }
    const pins = pinCheck(state.readPins(), identity.epochS);
    const judged = await judgeConfig(
      crypto,
      identity,
      answer,
      membership.mark,
      clock.boot(),
      pins,
      this.records,
    );
    const refused = 'ignored' in judged ? judged : await this.refusal(judged.config);
    if (refused === undefined && !('ignored' in judged)) {
      client.learnTime(judged.config.document.issued_at);
    }
    return this.accept('config', refused ?? judged, signal);
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

  /** Why a config does not fit what the controller has signed for everybody; undefined if it does. */
  private async refusal(config: AcceptedConfig): Promise<IgnoredConfig | undefined> {
    const { document, header } = config;
    const fork = await this.log.contradiction(config.checkpoint);
    if (fork !== undefined) {
      await this.removeMissing(config);
      return { ignored: 'forked_log', detail: fork };
    }
    if (header === undefined) {
      if (this.headers.held === undefined) return undefined;
      return { ignored: 'no_header', detail: 'it names no header, and there were some before' };
    }
    if (!this.headers.holds(header.hash)) await this.removeMissing(config);
    const named = await this.headers.obtain(header.hash);
    if (named === undefined) {
      return { ignored: 'no_header', detail: 'the header that it names cannot be taken' };
    }
    const detail = misfit(document, header, named);
    return detail === undefined ? undefined : { ignored: 'wrong_members', detail };
  }

  /** What a config takes away does not wait until it is known whether it fits. */
  private async removeMissing({ document, peers }: AcceptedConfig): Promise<void> {
    const { membership, identity } = this.options;
    const since = new Map(peers.map((peer) => [peer.nodeId, peer.sinceEpoch]));
    // Whoever has been out in between goes as well, and comes back with what fits.
    const missing = [...membership.peers.values()]
      .filter((peer) => since.get(peer.nodeId) !== peer.sinceEpoch)
      .map((peer) => peer.nodeId);
    await membership.removeAtOnce(document, missing, identity.nodeId);
  }

  /** What came was older than what this node has seen: if the controller has forgotten that, it should know. */
  private async showNewest(signal: AbortSignal): Promise<void> {
    const { held } = this.headers;
    const isHeader = held && compareVersions(held.document, this.pushedMark) >= 0;
    const newest = isHeader ? held.envelope : this.pushedEvent;
    if (newest === undefined) return;
    try {
      await this.options.client.postSeen(newest, signal);
      this.succeeded('seen');
    } catch (error) {
      if (!signal.aborted) this.failed('seen', error);
    }
  }

  /** A 304 does not extend the lifetime, so it is asked for only while most of that is left. */
  private etag(): string | undefined {
    const config = this.options.membership.inForce;
    if (!config) return undefined;
    const { mark } = this.options.membership;
    const { epoch, version, lifetime_s } = config.document;
    if (epoch !== mark.epoch || version !== mark.version) return undefined;
    const left = config.expiresAt - this.options.clock.boot();
    return left > (2 / 3) * lifetime_s ? config.etag : undefined;
  }

  private async streamLoop(signal: AbortSignal): Promise<void> {
    const { clock, random, pollMs } = this.options;
    const backoff = new Backoff(FIRST_RETRY_MS, pollMs, random);
    while (!signal.aborted) {
      const openedAt = clock.monotonic();
      await this.oneStream(signal);
      this.connected = false;
      if (clock.monotonic() - openedAt > pollMs) backoff.reset();
      await clock.sleep(backoff.next(), signal);
    }
  }

  /** One stream from opening to its end; returns, never throws. */
  private async oneStream(signal: AbortSignal): Promise<void> {
    const { client, identity, signingSeed } = this.options;
    const silence = new AbortController();
    const ended = AbortSignal.any([signal, silence.signal]);
    try {
      const stream = await client.openStream(identity.nodeId, signingSeed, ended);
      this.succeeded('stream');
      this.connected = true;
      this.pollNow(); // what happened while no stream was open was not pushed
      await this.readStream(stream, silence, signal);
      if (signal.aborted) return;
      throw new CallError(0, 'stream_ended', 'the controller ended the stream');
    } catch (error) {
      if (signal.aborted) return;
      const silent = new CallError(0, 'stream_silent', 'the stream carries no heartbeats any more');
      this.failed('stream', silence.signal.aborted ? silent : error);
    }
  }

  private async readStream(
    stream: ReadableStream<Uint8Array>,
    silence: AbortController,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock } = this.options;
    const parser = new SseParser();
    const decoder = new TextDecoder();
    let heard = new AbortController();
    const listen = () => {
      heard.abort();
      const mine = new AbortController();
      heard = mine;
      void clock.sleep(STREAM_HEARTBEAT_S * MISSED_HEARTBEATS * 1000, mine.signal).then(() => {
        if (!mine.signal.aborted) silence.abort();
      });
    };
    listen();
    try {
      for await (const chunk of stream) {
        listen();
        const items = parser.push(decoder.decode(chunk, { stream: true }));
        if (!items)
          throw new CallError(0, 'unexpected_answer', 'the stream is not an event stream');
        for (const item of items) {
          if (item.kind !== 'event') continue;
          if (item.name === STREAM_EVENT_NAME) await this.pushed(item.data, signal);
          if (item.name === HEADER_EVENT_NAME) this.headerPushed(item.data);
          if (item.name === KEYS_EVENT_NAME) this.keysPushed(item.data, signal);
        }
      }
    } finally {
      heard.abort();
    }
  }

  private async pushed(data: string, signal: AbortSignal): Promise<void> {
    const { crypto, identity, membership, counters, emit, clock, random } = this.options;
    const ignore = (reason: string, detail: string) => {
      counters.add(`push_ignored_${reason}`);
      emit({ event: 'ignored', what: 'push', reason, detail });
    };
    let value: unknown;
    try {
      value = JSON.parse(data);
    } catch {
      return ignore('malformed', 'is not JSON');
    }
    const opened = openEnvelope(crypto, value, PAYLOAD_TYPES.streamEvent, streamEventSchema, [
      identity.controllerKey,
    ]);
    if (!opened.ok) {
      const bad = opened.problem.code === 'envelope_signature' ? 'bad_signature' : 'malformed';
      return ignore(bad, opened.problem.title);
    }
    const { mesh_id, epoch, version, removed } = opened.value.document;
    if (mesh_id !== toBase64(identity.meshId)) return ignore('wrong_mesh', mesh_id);
    if (isTooFar({ epoch, version }, membership.mark))
      return ignore('too_far', `${epoch}.${version}`);
    if (compareVersions({ epoch, version }, this.pushedMark) > 0) {
      this.pushedMark = { epoch, version };
      this.pushedEvent = opened.value.envelope;
    }
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
    this.headers.take(envelope).catch((error: unknown) => this.failed('header', error));
  }

  private keysPushed(data: string, signal: AbortSignal): void {
    this.epochs
      .keysPushed(data)
      .then(async (judged) => {
        const kept = judged && (await this.unlessForked(judged));
        if (kept === undefined || !(await this.accept('push', kept, signal))) this.pollNow();
      })
      .catch((error: unknown) => this.failed('push', error));
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

  private failed(call: string, error: unknown): void {
    const code = error instanceof CallError ? error.code : 'failed';
    this.options.counters.add(`controller_${call}_failures`);
    if (this.failing.has(call)) return;
    this.failing.add(call);
    const detail = error instanceof Error ? error.message : String(error);
    this.options.emit({ event: 'controller', call, ok: false, code, detail });
  }

  private succeeded(call: string): void {
    if (this.failing.delete(call)) this.options.emit({ event: 'controller', call, ok: true });
  }
}
