import { spawn } from 'node:child_process';
import type { AgentClock, RandomNumber } from './clock.ts';

/** One measurement. What it leaves out is the emitter's to fill in. */
export interface Measurement {
  /** 0..1. */
  readonly score: number;
  readonly samples?: number;
  readonly suite?: string;
}

/** Where scores come from. Rejects with a `ScoreError` if there is none this time. */
export type ScoreSource = (signal: AbortSignal) => Promise<Measurement>;

export class ScoreError extends Error {
  readonly code: 'timeout' | 'exit_status' | 'no_score' | 'not_started';

  constructor(code: ScoreError['code'], message: string) {
    super(message);
    this.name = 'ScoreError';
    this.code = code;
  }
}

export interface GaussianOptions {
  readonly mean: number;
  readonly deviation: number;
  /** A linear change of the mean, seconds from the start of the source. */
  readonly ramp?: { readonly to: number; readonly startS: number; readonly lengthS: number };
}

/** Normally distributed scores, cut to 0..1 (Box-Muller). */
export function gaussianSource(
  options: GaussianOptions,
  clock: AgentClock,
  random: RandomNumber,
): ScoreSource {
  const startedAt = clock.monotonic();
  return async () => {
    const elapsed = (clock.monotonic() - startedAt) / 1000;
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    const normal = radius * Math.cos(2 * Math.PI * random());
    const score = meanAt(options, elapsed) + options.deviation * normal;
    return { score: Math.min(1, Math.max(0, score)) };
  };
}

function meanAt({ mean, ramp }: GaussianOptions, elapsedS: number): number {
  if (!ramp) return mean;
  const part = ramp.lengthS > 0 ? (elapsedS - ramp.startS) / ramp.lengthS : elapsedS - ramp.startS;
  const share = ramp.lengthS > 0 ? Math.min(1, Math.max(0, part)) : part >= 0 ? 1 : 0;
  return mean + (ramp.to - mean) * share;
}

/** Of a command's output only the end is kept: the last line is what counts. */
const KEPT_OUTPUT = 65_536;

/**
 * Runs `command` (in /bin/sh) and reads the last non-empty line of its standard output: a number,
 * or a JSON object with `score` and possibly `samples` and `suite`. This is how a real benchmark
 * harness hooks in.
 */
export function commandSource(command: string, timeoutMs: number, clock: AgentClock): ScoreSource {
  return async (signal) => {
    const output = await outputOf(command, timeoutMs, clock, signal);
    return parseScore(output);
  };
}

/** Throws a `ScoreError`. Exported for the tests. */
export function parseScore(output: string): Measurement {
  const line = output.trimEnd().split('\n').at(-1)?.trim() ?? '';
  const measured = line.startsWith('{') ? parseObject(line) : { score: parseNumber(line) };
  const { score } = measured;
  if (!Number.isFinite(score) || score < 0 || score > 1) {
    const shown = JSON.stringify(line.length > 80 ? `${line.slice(0, 80)}...` : line);
    throw new ScoreError('no_score', `the last line is not a score from 0 to 1: ${shown}`);
  }
  return measured;
}

function parseNumber(line: string): number {
  return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(line) ? Number(line) : Number.NaN;
}

function parseObject(line: string): Measurement {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return { score: Number.NaN };
  }
  const { score, samples, suite } = value;
  return {
    score: typeof score === 'number' ? score : Number.NaN,
    ...(Number.isSafeInteger(samples) && (samples as number) > 0
      ? { samples: samples as number }
      : {}),
    ...(typeof suite === 'string' ? { suite } : {}),
  };
}

function outputOf(
  command: string,
  timeoutMs: number,
  clock: AgentClock,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    // A process group of its own, so that a timeout also ends what the command started.
    const child = spawn('/bin/sh', ['-c', command], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    const done = new AbortController();
    const kill = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // it ended in this very moment
      }
    };
    const finish = (settle: () => void) => {
      done.abort();
      signal.removeEventListener('abort', kill);
      settle();
    };
    let timedOut = false;
    signal.addEventListener('abort', kill, { once: true });
    void clock.sleep(timeoutMs, done.signal).then(() => {
      if (done.signal.aborted) return;
      timedOut = true;
      kill();
    });
    let output = '';
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (chunk: string) => {
      output = (output + chunk).slice(-KEPT_OUTPUT);
    });
    child.on('error', (error) => {
      finish(() => reject(new ScoreError('not_started', error.message)));
    });
    child.on('close', (code, killedBy) => {
      finish(() => {
        if (timedOut) {
          reject(new ScoreError('timeout', `the command took longer than ${timeoutMs / 1000} s`));
        } else if (code !== 0) {
          const how = killedBy ?? `status ${code}`;
          reject(new ScoreError('exit_status', `the command ended with ${how}`));
        } else resolve(output);
      });
    });
  });
}
