import type { AgentClock, RandomNumber } from './clock.ts';
import type { HarnessReason } from './harness/outcome.ts';

/** One measurement. What it leaves out is the emitter's to fill in. */
export interface Measurement {
  /** 0..1. */
  readonly score: number;
  readonly samples?: number;
  readonly suite?: string;
  /** When it was measured, wall clock, ms since 1970; left out: just now. */
  readonly observedAt?: number;
}

/** Where scores come from. Null: nothing new. Rejects with a `ScoreError` if there is none this time. */
export type ScoreSource = (signal: AbortSignal) => Promise<Measurement | null>;

/** A source, and the suite that its scores are of where they do not say. */
export interface SuiteSource {
  readonly suite: string;
  readonly source: ScoreSource;
  /** ms between measurements; the node's `emitMs` where it is left out. */
  readonly intervalMs?: number;
  /** Since when (wall clock, ms) a measurement is under way that lasts; undefined if none is. */
  readonly runningSince?: () => number | undefined;
}

/** Why there is no score. */
export type ScoreFailure =
  | 'timeout'
  | 'exit_status'
  | 'no_score'
  | 'not_started'
  | 'stopped'
  | 'observed_in_future'
  | HarnessReason;

export class ScoreError extends Error {
  readonly code: ScoreFailure;

  constructor(code: ScoreFailure, message: string) {
    super(message);
    this.name = 'ScoreError';
    this.code = code;
  }
}

export interface GaussianOptions {
  readonly mean: number;
  readonly deviation: number;
  /** Of how many items each score is the mean. */
  readonly samples: number;
  /** A linear change of the mean, seconds from the start of the source. */
  readonly ramp?: { readonly to: number; readonly startS: number; readonly lengthS: number };
}

/** Normally distributed scores, cut to 0..1 (Box-Muller). */
export function gaussianSource(
  options: GaussianOptions,
  clock: AgentClock,
  random: RandomNumber,
): () => Promise<Measurement> {
  const startedAt = clock.monotonic();
  return async () => {
    const elapsed = (clock.monotonic() - startedAt) / 1000;
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    const normal = radius * Math.cos(2 * Math.PI * random());
    const score = meanAt(options, elapsed) + options.deviation * normal;
    return { score: Math.min(1, Math.max(0, score)), samples: options.samples };
  };
}

function meanAt({ mean, ramp }: GaussianOptions, elapsedS: number): number {
  if (!ramp) return mean;
  const part = ramp.lengthS > 0 ? (elapsedS - ramp.startS) / ramp.lengthS : elapsedS - ramp.startS;
  const share = ramp.lengthS > 0 ? Math.min(1, Math.max(0, part)) : part >= 0 ? 1 : 0;
  return mean + (ramp.to - mean) * share;
}
