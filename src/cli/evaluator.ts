import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { systemClock } from '../agent/clock.ts';
import { ControllerClient } from '../agent/controller-client.ts';
import { Counters } from '../agent/counters.ts';
import { Emitter } from '../agent/emitter.ts';
import type { AgentEvent } from '../agent/events.ts';
import { type EmitterState, NOTHING_SENT } from '../agent/node-state.ts';
import type { Measurement } from '../agent/score-source.ts';
import { toBase64 } from '../contract/encoding.ts';
import { readKeyFile, writeKeyFile } from '../contract/key-file.ts';
import { defaultProvider } from '../crypto/select.ts';
import { readJsonFile, replaceFile } from '../ground/files.ts';
import { CommandError, EXIT } from './exit-codes.ts';

export interface EvaluatorOptions {
  readonly key: string;
  readonly controller: string;
  /** Of what does not tell. */
  readonly suite: string;
  readonly samples?: number;
  readonly json?: boolean;
}

export interface Report {
  readonly node: string;
  readonly measurement: Measurement;
}

const CALL_TIMEOUT_MS = 10_000;
/** The controller takes so many scores of one series in an interval; the rest waits, ms. */
const BUSY_WAIT_MS = 1000;
const BUSY_WAITS = 60;

/** Signs and delivers scores about any node. Holds the key's lock. */
export class Evaluator {
  private readonly options: EvaluatorOptions;
  private readonly meshId: Uint8Array;
  private readonly crypto = defaultProvider();
  private readonly key: Uint8Array;
  private readonly client: ControllerClient;
  private readonly memory: Memory;

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
    this.memory = new Memory(`${options.key}.sequences`);
    this.client = new ControllerClient({
      fetch,
      clock: systemClock,
      crypto: this.crypto,
      random,
      url: options.controller,
      timeoutMs: CALL_TIMEOUT_MS,
    });
    this.client.belongTo(meshId);
  }

  /** Prints what became of it. Throws a `CommandError` if it was not accepted. */
  async report({ node, measurement }: Report): Promise<void> {
    const { suite, samples, json } = this.options;
    const events: AgentEvent[] = [];
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
      emit: (event) => void events.push(event),
      intervalMs: 1000,
      suite,
      ...(samples === undefined ? {} : { samples }),
    });
    const never = new AbortController().signal;
    await emitter.once(never);
    for (let waits = 0; isTooSoon(events.at(-1)) && waits < BUSY_WAITS; waits++) {
      await systemClock.sleep(BUSY_WAIT_MS, never);
      await emitter.once(never);
    }
    const event = events.at(-1);
    if (event?.event === 'score_failed') {
      const unreachable = event.code === 'unreachable' || event.code === 'timeout';
      const exitCode = unreachable ? EXIT.unreachable : EXIT.refused;
      throw new CommandError(exitCode, event.code, event.detail);
    }
    const what = `${node}: ${measurement.score}`;
    const line =
      event?.event === 'score'
        ? `${what} (${event.suite}, sequence ${event.sequence}) accepted`
        : `${what} is not sent again: one of this date or a later one was accepted before`;
    const told = event ?? { event: 'score_known' };
    process.stdout.write(`${json ? JSON.stringify({ ...told, node }) : line}\n`);
  }
}

function isTooSoon(event: AgentEvent | undefined): boolean {
  return event?.event === 'score_failed' && event.code === 'too_many_requests';
}

/** Sequences per node, in a file beside the key: an evaluator reports on many. */
class Memory {
  private readonly path: string;
  private all: Readonly<Record<string, EmitterState>>;

  constructor(path: string) {
    this.path = path;
    this.all = (readJsonFile(path) ?? {}) as Record<string, EmitterState>;
  }

  of(node: string) {
    return {
      readEmitter: (): EmitterState =>
        Object.hasOwn(this.all, node) ? this.all[node]! : NOTHING_SENT,
      changeEmitter: async (change: (before: EmitterState) => EmitterState) => {
        const before = Object.hasOwn(this.all, node) ? this.all[node]! : NOTHING_SENT;
        const next = { ...this.all, [node]: change(before) };
        await replaceFile(this.path, `${JSON.stringify(next)}\n`);
        this.all = next;
      },
    };
  }
}
