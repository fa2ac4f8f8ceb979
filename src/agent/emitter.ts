import type { BenchmarkDocument } from '../contract/benchmark.ts';
import { toBase64 } from '../contract/encoding.ts';
import { PAYLOAD_TYPES, signEnvelope } from '../contract/envelope.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { Backoff } from './backoff.ts';
import type { AgentClock, RandomNumber } from './clock.ts';
import { CallError, type ControllerClient } from './controller-client.ts';
import type { Counters } from './counters.ts';
import type { EmitEvent } from './events.ts';
import type { NodeState } from './node-state.ts';
import { type Measurement, ScoreError, type ScoreSource } from './score-source.ts';

export interface EmitterOptions {
  readonly client: ControllerClient;
  readonly source: ScoreSource;
  readonly state: Pick<NodeState, 'readEmitter' | 'writeEmitter'>;
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
  /** What a measurement that does not say otherwise is of, and how many samples it has. */
  readonly suite: string;
  readonly samples: number;
}

/** Attempts to deliver one measurement; after that the next one is worth more. */
const DELIVERY_ATTEMPTS = 3;
const FIRST_RETRY_MS = 250;

/** Measures, signs and delivers the node's own score, interval by interval. */
export class Emitter {
  private readonly options: EmitterOptions;

  constructor(options: EmitterOptions) {
    this.options = options;
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
    const { source, counters, emit } = this.options;
    let measurement: Measurement;
    try {
      measurement = await source(signal);
    } catch (error) {
      if (signal.aborted) return;
      counters.add('scores_failed');
      const code = error instanceof ScoreError ? error.code : 'failed';
      emit({ event: 'score_failed', code, detail: messageOf(error) });
      return;
    }
    try {
      await this.deliver(measurement, signal);
    } catch (error) {
      if (signal.aborted) return;
      counters.add('scores_undelivered');
      const code = error instanceof CallError ? error.code : 'failed';
      emit({ event: 'score_failed', code, detail: messageOf(error) });
    }
  }

  private async deliver(measurement: Measurement, signal: AbortSignal): Promise<void> {
    const { client, clock, random, intervalMs, nodeId, counters, emit } = this.options;
    const backoff = new Backoff(FIRST_RETRY_MS, intervalMs / DELIVERY_ATTEMPTS, random);
    const suite = measurement.suite ?? this.options.suite;
    const { score } = measurement;
    let sequence: number | undefined;
    for (let attempt = 1; ; attempt++) {
      const document = await this.document(measurement, suite, sequence);
      const { signingSeed, crypto } = this.options;
      const envelope = signEnvelope(crypto, signingSeed, PAYLOAD_TYPES.benchmark, document);
      try {
        await client.postBenchmark(nodeId, envelope);
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
    const document: BenchmarkDocument = {
      mesh_id: toBase64(meshId),
      audience: 'controller',
      node_id: nodeId,
      suite,
      score: measurement.score,
      samples: measurement.samples ?? this.options.samples,
      observed_at: Math.max(observed_at, client.controllerTime()),
      sequence: sequence ?? last + 1,
    };
    await state.writeEmitter({
      sequences: { ...sequences, [suite]: document.sequence },
      observed_at: document.observed_at,
    });
    return document;
  }

  private async forgetFutureObservation(): Promise<void> {
    const { state, client } = this.options;
    const { sequences } = state.readEmitter();
    await state.writeEmitter({ sequences, observed_at: client.controllerTime() });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
