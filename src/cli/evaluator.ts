import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { systemClock } from '../agent/clock.ts';
import { ControllerClient } from '../agent/controller-client.ts';
import { controllerFetch } from '../agent/controller-fetch.ts';
import { Counters } from '../agent/counters.ts';
import { Emitter } from '../agent/emitter.ts';
import type { AgentEvent } from '../agent/events.ts';
import type { Measurement } from '../agent/score-source.ts';
import { fromBase64, fromBase64Url, toBase64 } from '../contract/encoding.ts';
import { readKeyFile, writeKeyFile } from '../contract/key-file.ts';
import { defaultProvider } from '../crypto/select.ts';
import { type Lock, LockedError, type LockOptions, lockFile } from '../ground/lock.ts';
import { EvaluatorMemory } from './evaluator-memory.ts';
import { CommandError, EXIT } from './exit-codes.ts';

export interface EvaluatorOptions {
  readonly key: string;
  readonly controller: string;
  /** Of what does not tell. */
  readonly suite: string;
  readonly samples?: number;
}

export interface Report {
  readonly node: string;
  readonly measurement: Measurement;
}

const CALL_TIMEOUT_MS = 10_000;
/** The controller takes so many scores of one series in an interval; the rest waits, ms. */
const BUSY_WAIT_MS = 1000;
const BUSY_WAITS = 60;

/** Signs and delivers scores about any node. Whoever makes one holds the key's lock ({@link lockKey}). */
export class Evaluator {
  private readonly options: EvaluatorOptions;
  private readonly meshId: Uint8Array;
  private readonly crypto = defaultProvider();
  private readonly key: Uint8Array;
  private readonly client: ControllerClient;
  private readonly memory: EvaluatorMemory;

  constructor(options: EvaluatorOptions, meshId: Uint8Array) {
    this.options = options;
    this.meshId = meshId;
    const random = (length: number) => new Uint8Array(randomBytes(length));
    if (!existsSync(options.key)) {
      writeKeyFile(options.key, random(32));
      const key = toBase64(this.crypto.ed25519Public(readKeyFile(options.key)));
      process.stderr.write(`made ${options.key}; for the policy's evaluators: ${key}\n`);
    }
    this.key = readKeyFile(options.key);
    this.memory = new EvaluatorMemory(options.key);
    this.client = new ControllerClient({
      fetch: controllerFetch(this.crypto),
      clock: systemClock,
      crypto: this.crypto,
      random,
      url: options.controller,
      timeoutMs: CALL_TIMEOUT_MS,
    });
    this.client.belongTo(meshId);
  }

  /**
   * What became of it: `score`, accepted; `score_failed`; undefined: one of its date or a later one was
   * accepted before. Waits where the controller takes no more at the moment. One at a time.
   */
  async deliver({ node, measurement }: Report, signal: AbortSignal): Promise<Delivery | undefined> {
    const { suite, samples } = this.options;
    let last: Delivery | undefined;
    const emitter = new Emitter({
      client: this.client,
      source: async () => measurement,
      state: this.memory.of(node),
      meshId: this.meshId,
      nodeId: node,
      signingSeed: this.key,
      clock: systemClock,
      crypto: this.crypto,
      random: Math.random,
      counters: new Counters(),
      emit: (event) => {
        if (event.event === 'score' || event.event === 'score_failed') last = event;
      },
      intervalMs: 1000,
      suite,
      ...(samples === undefined ? {} : { samples }),
    });
    await emitter.once(signal);
    for (let waits = 0; isTooSoon(last) && waits < BUSY_WAITS && !signal.aborted; waits++) {
      await systemClock.sleep(BUSY_WAIT_MS, signal);
      last = undefined;
      await emitter.once(signal);
    }
    return last;
  }
}

export type Delivery = Extract<AgentEvent, { event: 'score' | 'score_failed' }>;

/** Whether nobody answered, so that others need not be tried. */
export function isUnreachable({ code }: Extract<Delivery, { event: 'score_failed' }>): boolean {
  return code === 'unreachable' || code === 'timeout';
}

/** The mesh that `--mesh` names. */
export function meshOf(mesh = ''): Uint8Array {
  const meshId = fromBase64(mesh, 32) ?? fromBase64Url(mesh, 32);
  if (meshId) return meshId;
  const message = '--mesh: the mesh id, which `meshnet epoch --json` on the controller shows';
  throw new CommandError(EXIT.usage, 'usage', message);
}

/** Two that report with one key at the same time would give two scores one sequence. */
export function lockKey(key: string, options: LockOptions): Lock {
  try {
    return lockFile(key, options);
  } catch (error) {
    if (error instanceof LockedError) {
      throw new CommandError(EXIT.failed, 'key_in_use', `--key: ${error.message}`);
    }
    throw new CommandError(EXIT.keys, 'io', `--key: ${(error as Error).message}`);
  }
}

function isTooSoon(event: Delivery | undefined): boolean {
  return event?.event === 'score_failed' && event.code === 'too_many_requests';
}
