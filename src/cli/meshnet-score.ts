import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { systemClock } from '../agent/clock.ts';
import { ControllerClient } from '../agent/controller-client.ts';
import { Counters } from '../agent/counters.ts';
import { Emitter } from '../agent/emitter.ts';
import type { AgentEvent } from '../agent/events.ts';
import { readDate, readMeasurement } from '../agent/harness/measured.ts';
import { parseScore } from '../agent/harness/score-line.ts';
import { type EmitterState, NOTHING_SENT } from '../agent/node-state.ts';
import { type Measurement, ScoreError } from '../agent/score-source.ts';
import { fromBase64, fromBase64Url, toBase64 } from '../contract/encoding.ts';
import { isNodeId } from '../contract/ids.ts';
import { readKeyFile, writeKeyFile } from '../contract/key-file.ts';
import { defaultProvider } from '../crypto/select.ts';
import { readJsonFile, replaceFile } from '../ground/files.ts';
import { LockedError, lockFile } from '../ground/lock.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { type ScoreFromCommandOptions, scoreFromSources } from './score-sources.ts';

export interface ScoreOptions extends ScoreFromCommandOptions {
  readonly key: string;
  readonly mesh?: string;
  readonly controller: string;
  readonly samples?: number;
  readonly observedAt?: string;
  readonly batch?: boolean;
  readonly json?: boolean;
}

const CALL_TIMEOUT_MS = 10_000;
/** How long to wait for others who report with the same key: their scores come first. */
const LOCK_WAIT_MS = 60_000;

/** What is reported: a line of a batch, or the arguments. */
interface Report {
  readonly node: string;
  readonly measurement: Measurement;
}

/** `meshnet score NODE SCORE`, `NODE --score-from ...` or `--batch`: an evaluator's word about nodes. */
export async function score(
  node: string | undefined,
  value: string | undefined,
  options: ScoreOptions,
  input: NodeJS.ReadableStream = process.stdin,
): Promise<void> {
  const ways = [options.batch === true, value !== undefined, options.scoreFrom !== undefined];
  const isWhole = ways.filter(Boolean).length === 1 && (node === undefined) === ways[0];
  if (!isWhole) {
    throw usage(
      'give a node and its score or --score-from, or --batch and lines on standard input',
    );
  }
  const meshId = meshOf(options);
  const reports = options.batch ? [] : await reportsOf(node!, value, options);
  const lock = locked(options.key);
  try {
    const evaluator = new Evaluator(options, meshId);
    for (const one of reports) await evaluator.report(one);
    if (options.batch) await reportLines(evaluator, options, input);
  } finally {
    lock.release();
  }
}

/** About one node: the score given, or what its harnesses left. */
async function reportsOf(
  node: string,
  value: string | undefined,
  options: ScoreOptions,
): Promise<Report[]> {
  if (value !== undefined) return [reportOf(node, options, () => parseScore(value))];
  const reports: Report[] = [];
  for (const { suite, source } of scoreFromSources(options)) {
    const measurement = await source(new AbortController().signal).catch((error: unknown) => {
      if (!(error instanceof ScoreError)) throw error;
      throw new CommandError(EXIT.failed, error.code, `--score-from (${suite}): ${error.message}`);
    });
    if (measurement === null) {
      const message = `--score-from (${suite}): the file is still being written`;
      throw new CommandError(EXIT.failed, 'unfinished', message);
    }
    reports.push(reportOf(node, options, () => ({ suite, ...measurement })));
  }
  return reports;
}

/** Goes on after a score that is refused, ends where the controller cannot be reached. */
async function reportLines(
  evaluator: Evaluator,
  options: ScoreOptions,
  input: NodeJS.ReadableStream,
): Promise<void> {
  let line = 0;
  let failed = 0;
  for await (const text of createInterface({ input })) {
    line++;
    if (text.trim() === '') continue;
    try {
      await evaluator.report(lineOf(text.trim(), options));
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      const message = `line ${line}: ${error.message}`;
      if (error.exitCode === EXIT.unreachable) {
        throw new CommandError(error.exitCode, error.code, `${message}; the rest was not sent`);
      }
      failed++;
      process.stderr.write(`meshnet: ${message} (${error.code})\n`);
    }
  }
  if (failed === 0) return;
  throw new CommandError(EXIT.refused, 'not_all_accepted', `${failed} of ${line} lines failed`);
}

/** `NODE SCORE`, or a JSON object with `node` and what a harness writes. */
function lineOf(text: string, options: ScoreOptions): Report {
  if (!text.startsWith('{')) {
    const [node = '', value = '', ...rest] = text.split(/\s+/);
    if (rest.length > 0) throw usage('expected NODE SCORE, or a JSON object');
    return reportOf(node, options, () => parseScore(value));
  }
  let parsed: Record<string, unknown>;
  try {
    parsed = JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw usage('is not JSON');
  }
  const { node, ...measured } = parsed;
  return reportOf(String(node), options, () => readMeasurement(measured));
}

function reportOf(node: string, options: ScoreOptions, measure: () => Measurement): Report {
  if (!isNodeId(node)) throw usage(`${String(node).slice(0, 80)}: not a node name`);
  try {
    const observedAt =
      options.observedAt === undefined
        ? {}
        : { observedAt: readDate(dateText(options.observedAt)) };
    return { node, measurement: { ...observedAt, ...measure() } };
  } catch (error) {
    if (error instanceof ScoreError) throw usage(error.message);
    throw error;
  }
}

function dateText(text: string): number | string {
  return /^\d+$/.test(text) ? Number(text) : text;
}

function meshOf({ mesh = '' }: ScoreOptions): Uint8Array {
  const meshId = fromBase64(mesh, 32) ?? fromBase64Url(mesh, 32);
  if (meshId) return meshId;
  throw usage('--mesh: the mesh id, which `meshnet epoch --json` on the controller shows');
}

/** Two that report with one key at the same time would give two scores one sequence. */
function locked(key: string) {
  try {
    return lockFile(key, { program: 'meshnet score', waitMs: LOCK_WAIT_MS });
  } catch (error) {
    if (error instanceof LockedError) {
      throw new CommandError(EXIT.failed, 'key_in_use', `--key: ${error.message}`);
    }
    throw new CommandError(EXIT.keys, 'io', `--key: ${(error as Error).message}`);
  }
}

function usage(message: string): CommandError {
  return new CommandError(EXIT.usage, 'usage', message);
}

/** Signs and delivers scores about any node. Holds the key's lock. */
class Evaluator {
  private readonly options: ScoreOptions;
  private readonly meshId: Uint8Array;
  private readonly crypto = defaultProvider();
  private readonly key: Uint8Array;
  private readonly client: ControllerClient;
  private readonly memory: Memory;

  constructor(options: ScoreOptions, meshId: Uint8Array) {
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
    await emitter.once(new AbortController().signal);
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
