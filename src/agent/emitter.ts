import type { BenchmarkDocument } from '../contract/benchmark.ts';
import { toBase64 } from '../contract/encoding.ts';
import { PAYLOAD_TYPES, signEnvelope } from '../contract/envelope.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { Backoff } from './backoff.ts';
import type { AgentClock, RandomNumber } from './clock.ts';
import { CallError } from './controller-answer.ts';
import type { ControllerClient } from './controller-client.ts';
import type { Counters } from './counters.ts';
import type { EmitEvent } from './events.ts';
import type { NodeState } from './node-state.ts';
import { type Measurement, ScoreError, type ScoreSource } from './score-source.ts';

export interface EmitterOptions {
  readonly client: ControllerClient;
  readonly source: ScoreSource;
  readonly state: Pick<NodeState, 'readEmitter' | 'changeEmitter'>;
  readonly meshId: Uint8Array;
  readonly nodeId: string;
  readonly signingSeed: Uint8Array;
  readonly clock: AgentClock;
  readonly crypto: CryptoProvider;
  readonly random: RandomNumber;
  readonly counters: Counters;
  readonly emit: EmitEvent;
  /** ms between measurements; production: 10 s. */
  readonly intervalMs: number;
  /** What a measurement that does not say otherwise is of. */
  readonly suite: string;
  /** And how many samples it has. A number of which nobody says more is one sample. */
  readonly samples?: number;
  /** See `SuiteSource.runningSince`. */
  readonly runningSince?: () => number | undefined;
}

/** What is known of the measurements of one suite. */
export interface SuiteProgress {
  readonly suite: string;
  /** ms for which one is under way that lasts; null if none is. */
  readonly runningMs: number | null;
  /** The last one; null if there was none since the start. */
  readonly score: number | null;
  /** And its age, ms. */
  readonly ageMs: number | null;
  /** Why the last attempt gave no score, or why that was not delivered; null if it was. */
  readonly failure: string | null;
}

/** Attempts to deliver one measurement; after that the next one is worth more. */
const DELIVERY_ATTEMPTS = 3;
const FIRST_RETRY_MS = 250;
/** A harness's clock may be ahead of the controller's by as much as scores may (GOVERNANCE.md), ms. */
const MAX_AHEAD_MS = 30_000;

/** Measures, signs and delivers the node's own score, interval by interval. */
export class Emitter {
  private readonly options: EmitterOptions;
  private last: { readonly score: number; readonly observedAt: number } | undefined;
  private failure: string | null = null;

  constructor(options: EmitterOptions) {
    this.options = options;
  }

  progress(): SuiteProgress {
    const { suite, clock, runningSince } = this.options;
    const now = clock.wall();
    const since = runningSince?.();
    return {
      suite,
      runningMs: since === undefined ? null : Math.max(0, now - since),
      score: this.last?.score ?? null,
      ageMs: this.last === undefined ? null : Math.max(0, now - this.last.observedAt),
      failure: this.failure,
    };
  }

  /** Runs until `signal` aborts. The first measurement is taken at once. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, intervalMs, random } = this.options;
    let dueAt = clock.monotonic();
    while (!signal.aborted) {
      await this.once(signal);
      // Measured from the planned time: a slow harness does not stretch the interval.
      dueAt = Math.max(dueAt + intervalMs, clock.monotonic());
      const jitter = intervalMs * 0.05 * (random() - 0.5);
      await clock.sleep(dueAt - clock.monotonic() + jitter, signal);
    }
  }

  /** One measurement and its delivery; reports failures as events, never throws. */
  async once(signal: AbortSignal): Promise<void> {
    const { source, suite, counters, clock } = this.options;
    let measurement: Measurement | null;
    try {
      measurement = await source(signal);
      if (measurement === null) return;
    } catch (error) {
      if (signal.aborted) return;
      counters.add('scores_failed');
      this.fail(suite, error);
      return;
    }
    const { score, observedAt = clock.wall() } = measurement;
    this.last = { score, observedAt };
    try {
      await this.deliver(measurement, signal);
      this.failure = null;
    } catch (error) {
      if (signal.aborted) return;
      counters.add('scores_undelivered');
      this.fail(measurement.suite ?? suite, error);
    }
  }

  private fail(suite: string, error: unknown): void {
    const isNamed = error instanceof CallError || error instanceof ScoreError;
    const code = isNamed ? error.code : 'failed';
    this.failure = code;
    this.options.emit({ event: 'score_failed', suite, code, detail: messageOf(error) });
  }

  private async deliver(measurement: Measurement, signal: AbortSignal): Promise<void> {
    const { client, clock, random, intervalMs, nodeId, counters, emit } = this.options;
    const backoff = new Backoff(FIRST_RETRY_MS, intervalMs / DELIVERY_ATTEMPTS, random);
    const suite = measurement.suite ?? this.options.suite;
    const { score } = measurement;
    if (this.isReported(measurement, suite)) return;
    let sequence: number | undefined;
    for (let attempt = 1; ; attempt++) {
      const document = await this.document(measurement, suite, sequence);
      const { signingSeed, crypto } = this.options;
      const envelope = signEnvelope(crypto, signingSeed, PAYLOAD_TYPES.benchmark, document);
      try {
        await client.postBenchmark(nodeId, envelope);
        await this.remember(measurement, suite);
        counters.add('scores_delivered');
        emit({ event: 'score', suite, score, sequence: document.sequence });
        return;
      } catch (error) {
        if (!(error instanceof CallError) || attempt >= DELIVERY_ATTEMPTS) throw error;
        // Only what the controller signed about this very score is kept or dated by.
        const { receipt } = error;
        if (receipt?.code.startsWith('sequence_') && receipt.last !== null) {
          sequence = receipt.last + 1; // it remembers others than we do, or was told to forget
        } else if (receipt?.code === 'observed_in_future') {
          client.learnTime(receipt.server_time);
          await this.forgetFutureObservation();
        } else if (error.status !== 0 && error.status !== 429 && error.status < 500) {
          throw error; // said again it would be wrong again
        }
        await clock.sleep(backoff.next(), signal);
        if (signal.aborted) throw error;
      }
    }
  }

  /** The next document; its sequence (the next one, if not given) is on the disk before it is used. */
  private async document(
    measurement: Measurement,
    suite: string,
    sequence: number | undefined,
  ): Promise<BenchmarkDocument> {
    const { state, client, meshId, nodeId } = this.options;
    const { sequences, observed_at } = state.readEmitter();
    const last = Object.hasOwn(sequences, suite) ? sequences[suite]! : 0;
    const now = Math.max(observed_at, client.controllerTime());
    const document: BenchmarkDocument = {
      mesh_id: toBase64(meshId),
      audience: 'controller',
      node_id: nodeId,
      suite,
      score: measurement.score,
      samples: measurement.samples ?? this.options.samples ?? 1,
      observed_at: Math.min(now, measurement.observedAt ?? now),
      sequence: sequence ?? last + 1,
    };
    await state.changeEmitter((before) => ({
      ...before,
      sequences: { ...before.sequences, [suite]: document.sequence },
      ...(measurement.observedAt === undefined ? { observed_at: now } : {}),
    }));
    return document;
  }

  /**
   * A result that a harness has dated counts once, however often it is read: else a stale file would
   * be fresh for ever. Throws a `ScoreError` if the date is still to come.
   */
  private isReported({ observedAt }: Measurement, suite: string): boolean {
    if (observedAt === undefined) return false;
    const ahead = observedAt - this.options.client.controllerTime();
    if (ahead > MAX_AHEAD_MS) {
      const message = `the harness's date is ${Math.round(ahead / 1000)} s ahead of the controller`;
      throw new ScoreError('observed_in_future', message);
    }
    const { reported = {} } = this.options.state.readEmitter();
    return Object.hasOwn(reported, suite) && observedAt <= reported[suite]!;
  }

  private async remember({ observedAt }: Measurement, suite: string): Promise<void> {
    if (observedAt === undefined) return;
    await this.options.state.changeEmitter((before) => ({
      ...before,
      reported: { ...before.reported, [suite]: observedAt },
    }));
  }

  private async forgetFutureObservation(): Promise<void> {
    const { state, client } = this.options;
    await state.changeEmitter((before) => ({
      ...before,
      observed_at: client.controllerTime(),
    }));
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
