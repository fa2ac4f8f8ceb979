import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { AgentClock } from '../clock.ts';
import { type Measurement, ScoreError, type ScoreSource } from '../score-source.ts';
import { HARNESSES } from './adapters.ts';
import { meantScore } from './measured.ts';
import { newestFile } from './newest-file.ts';
import type { HarnessReason, HarnessResult, Outcome } from './outcome.ts';
import type { ReadAnswer, ReadRequest } from './read-worker.ts';

/** Where a harness leaves its results: `kind:location#selector`. */
export interface ScoreOrigin {
  readonly kind: string;
  readonly location: string;
  readonly selector: string | null;
}

export interface ScoreFromOptions {
  readonly clock: AgentClock;
  /** The harness's values that mean 0 and 1; undefined: 0 and 1 themselves. */
  readonly map?: { readonly zero: number; readonly one: number };
  /** Least share of a run's items that must have been scored. */
  readonly minDone: number;
}

/** How long (ms) a file that is not whole may still be being written. */
const WRITING_MS = 60_000;
/** Within which a result must have been read, ms. */
const READ_MS = 60_000;
/** Of the thread that reads, MiB: a parsed file is several times its size. */
const READ_MEMORY = 1024;
const MAX_ANSWER = 1 << 20;

/** Undefined if it is not `kind:location#selector` with a known kind. */
export function parseScoreOrigin(text: string): ScoreOrigin | undefined {
  const [, kind = '', location = '', selector] = /^([a-z-]+):([^#]+)(?:#(.+))?$/s.exec(text) ?? [];
  if (!Object.hasOwn(HARNESSES, kind) || location === '') return undefined;
  return { kind, location, selector: selector ?? null };
}

/** The results of a harness, each once. Reads in a thread of its own or over the network. */
export function scoreFrom(origin: ScoreOrigin, options: ScoreFromOptions): ScoreSource {
  return HARNESSES[origin.kind]!.files === null
    ? (signal) => queried(origin, options, signal)
    : fileSource(origin, options);
}

function fileSource(origin: ScoreOrigin, options: ScoreFromOptions): ScoreSource {
  const { kind, location, selector } = origin;
  let known: string | null = null;
  /** Of the known file: what is new in it until it is delivered, and undefined if it is no score. */
  let measurement: Measurement | undefined;
  let told: string | undefined;
  return async (signal) => {
    try {
      const file = await newestFile(location, HARNESSES[kind]!.files!);
      if (file.state === known) return measurement ?? null;
      const answer = await readInThread({ kind, path: file.path, selector }, signal);
      const isYoung = options.clock.wall() - answer.modifiedAt < WRITING_MS;
      if (!answer.outcome.ok && isYoung && isHalf(answer.outcome.reason)) return null;
      known = answer.state;
      measurement = undefined;
      measurement = measured(answer.outcome, options);
      told = undefined;
      return measurement;
    } catch (error) {
      const message = (error as Error).message;
      if (message === told) return null; // said once of the same trouble
      told = message;
      throw error;
    }
  };
}

/** What a file looks like that is being written. */
function isHalf(reason: HarnessReason): boolean {
  return reason === 'unfinished' || reason === 'not_json' || reason === 'bad_archive';
}

function readInThread(request: ReadRequest, signal: AbortSignal): Promise<ReadAnswer> {
  const url = new URL(`./read-worker${extname(import.meta.url)}`, import.meta.url);
  const worker = new Worker(url, {
    workerData: request,
    resourceLimits: { maxOldGenerationSizeMb: READ_MEMORY },
  });
  const { promise, resolve, reject } = Promise.withResolvers<ReadAnswer>();
  const stopped = () => reject(new ScoreError('stopped', 'the node stops'));
  const late = setTimeout(() => {
    reject(new ScoreError('timeout', `${request.path} was not read within ${READ_MS / 1000} s`));
  }, READ_MS);
  signal.addEventListener('abort', stopped, { once: true });
  worker.once('message', resolve);
  worker.once('error', (error: NodeJS.ErrnoException) => {
    const isLarge = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
    reject(new ScoreError(isLarge ? 'too_large' : 'not_json', `${request.path}: ${error.message}`));
  });
  worker.once('exit', () => reject(new ScoreError('not_started', 'the reader ended')));
  return promise.finally(() => {
    clearTimeout(late);
    signal.removeEventListener('abort', stopped);
    void worker.terminate();
  });
}

const AVERAGE = /^avg_over_time\s*\(/;

async function queried(
  { location, selector }: ScoreOrigin,
  options: ScoreFromOptions,
  signal: AbortSignal,
): Promise<Measurement> {
  const query = selector ?? '';
  const { adapter } = HARNESSES.prometheus!;
  const ask = async (text: string) => {
    const url = `${location.replace(/\/+$/, '')}/api/v1/query?query=${encodeURIComponent(text)}`;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(READ_MS / 6)]);
    return adapter(await bodyOf(url, limit), null, options.clock.wall());
  };
  const outcome = await ask(query);
  if (!outcome.ok || !AVERAGE.test(query)) return measured(outcome, options);
  // A mean over time averages as many samples as there were.
  const count = await ask(query.replace(AVERAGE, 'count_over_time('));
  const samples = count.ok ? Math.round(count.result.score) : 1;
  return measured({ ok: true, result: { ...outcome.result, samples } }, options);
}

/** Throws a `ScoreError`. */
async function bodyOf(url: string, signal: AbortSignal): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    const response = await fetch(url, { signal, redirect: 'error' });
    for await (const chunk of response.body ?? []) {
      length += chunk.length;
      if (length > MAX_ANSWER) throw new ScoreError('too_large', `${url}: a very long answer`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof ScoreError) throw error;
    const { cause, message } = error as Error;
    throw new ScoreError(
      'not_found',
      `${url}: ${cause instanceof Error ? cause.message : message}`,
    );
  }
  return Buffer.concat(chunks);
}

/** The score from 0 to 1 that a result means. Throws a `ScoreError`. */
export function measured(
  outcome: Outcome,
  { map, minDone }: Pick<ScoreFromOptions, 'map' | 'minDone'>,
): Measurement {
  if (!outcome.ok) throw new ScoreError(outcome.reason, outcome.detail);
  const { result } = outcome;
  if (result.complete < minDone) {
    const done = `${(result.complete * 100).toFixed(1)} % of the run were scored`;
    throw new ScoreError('incomplete', `${done}, at least ${minDone * 100} % are needed`);
  }
  return { score: mapped(result, map), samples: result.samples, observedAt: result.observedAt };
}

function mapped(
  { score, lowerIsBetter }: HarnessResult,
  map: { readonly zero: number; readonly one: number } = { zero: 0, one: 1 },
): number {
  const isReversed = map.one < map.zero;
  if (lowerIsBetter === true && !isReversed) {
    throw new ScoreError('lower_is_better', 'less is better here: give --map WORST..BEST');
  }
  const meant = meantScore((score - map.zero) / (map.one - map.zero));
  if (meant !== undefined) return meant;
  throw new ScoreError(
    'out_of_range',
    `${score} is not between ${map.zero} and ${map.one} (--map)`,
  );
}
