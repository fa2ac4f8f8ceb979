import { join } from 'node:path';
import { systemClock } from '../agent/clock.ts';
import { HARNESSES } from '../agent/harness/adapters.ts';
import { commandSource } from '../agent/harness/command.ts';
import { KeptRuns } from '../agent/harness/kept-runs.ts';
import { isPerNode, NAME_MARK, originOf } from '../agent/harness/node-places.ts';
import {
  parseScoreOrigin,
  type ScoreFromOptions,
  type ScoreOrigin,
  scoreFrom,
} from '../agent/harness/score-from.ts';
import { gaussianSource, type SuiteSource } from '../agent/score-source.ts';
import { suiteField } from '../contract/fields.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { numberBetween } from './numbers.ts';
import { scoreUser } from './score-user.ts';

/** Options about results of harnesses, of `meshnet node` and `meshnet score`. */
export interface ScoreFromCommandOptions {
  readonly suite: string;
  /** `[SUITE=]KIND:LOCATION[#SELECTOR]`. */
  readonly scoreFrom?: readonly string[];
  /** `[SUITE=]A..B`. */
  readonly map?: readonly string[];
  readonly minDone: number;
}

/** Options about a node's own scores. */
export interface ScoreSourceOptions extends ScoreFromCommandOptions {
  readonly samples?: number;
  /** Of the node: what lasts is kept there. */
  readonly state: string;
  /** `[SUITE=]COMMAND`. */
  readonly scoreCommand?: readonly string[];
  /** `[SUITE=]SECONDS`, as is `emit`. */
  readonly scoreTimeout?: readonly string[];
  readonly emit?: readonly string[];
  readonly scoreUser?: string;
  readonly okStatus?: readonly number[];
  readonly scoreMean?: number;
  readonly scoreDeviation: number;
  readonly scoreRamp?: { readonly to: number; readonly startS: number; readonly lengthS: number };
}

export const DEFAULT_EMIT_S = 10;
const DEFAULT_TIMEOUT_S = 60;
/** A command that may take longer, or is run less often, is kept over restarts of the node, ms. */
const LASTING_MS = 60_000;
/** Items of a run that `--score-mean` makes up. */
const SIMULATED_SAMPLES = 50;

/** Where a node's scores come from, one source a suite. `onStderr`: of score commands. */
export function scoreSources(
  options: ScoreSourceOptions,
  warn: (message: string) => void,
  onStderr: (line: string) => void,
): SuiteSource[] {
  const { scoreMean } = options;
  const sources = scoreFromSources(options);
  sources.push(...commandSources(options, warn, onStderr));
  if (scoreMean !== undefined) {
    if (options.scoreCommand !== undefined) {
      throw usage('give either --score-command or --score-mean');
    }
    const { scoreDeviation: deviation, scoreRamp } = options;
    const samples = options.samples ?? SIMULATED_SAMPLES;
    const ramp = scoreRamp === undefined ? {} : { ramp: scoreRamp };
    const gaussian = { mean: scoreMean, deviation, samples, ...ramp };
    const source = gaussianSource(gaussian, systemClock, Math.random);
    sources.push({ suite: options.suite, source });
  }
  const twice = sources.find((one, at) => sources.findIndex((o) => o.suite === one.suite) < at);
  if (twice !== undefined) throw usage(`two sources of scores for the suite ${twice.suite}`);
  const intervals = secondsBySuite('--emit', options.emit);
  return sources.map((one) => ({
    intervalMs: msOf(intervals, one.suite, DEFAULT_EMIT_S),
    ...one,
  }));
}

/** Those of `--score-command`. */
function commandSources(
  options: ScoreSourceOptions,
  warn: (message: string) => void,
  onStderr: (line: string) => void,
): SuiteSource[] {
  const { scoreCommand = [], okStatus } = options;
  if (scoreCommand.length === 0) return [];
  const user = scoreUser(options.scoreUser, warn);
  const intervals = secondsBySuite('--emit', options.emit);
  const timeouts = secondsBySuite('--score-timeout', options.scoreTimeout);
  return scoreCommand.map((text) => {
    const [suite = options.suite, command] = withSuite(text);
    const timeoutMs = msOf(timeouts, suite, DEFAULT_TIMEOUT_S);
    const intervalMs = msOf(intervals, suite, DEFAULT_EMIT_S);
    const common = { timeoutMs, clock: systemClock, user, onStderr, ...(okStatus && { okStatus }) };
    if (timeoutMs <= LASTING_MS && intervalMs <= LASTING_MS) {
      return { suite, source: commandSource(command, common) };
    }
    const file = join(options.state, 'runs', `${suite}.json`);
    const runs = new KeptRuns(command, { ...common, file, intervalMs });
    const lookMs = Math.min(intervalMs, DEFAULT_EMIT_S * 1000);
    return {
      suite,
      source: runs.source,
      intervalMs: lookMs,
      runningSince: () => runs.runningSince,
    };
  });
}

/** Values of a repeatable `[SUITE=]SECONDS`, by the suite; undefined: for the others. */
function secondsBySuite(option: string, values: readonly string[] = []) {
  return new Map(
    values.map((text) => {
      const [suite, value] = withSuite(text);
      try {
        return [suite, numberBetween(0.1, 86_400)(value)] as const;
      } catch (error) {
        throw usage(`${option} ${text}: ${(error as Error).message}`);
      }
    }),
  );
}

function msOf(
  values: ReadonlyMap<string | undefined, number>,
  suite: string,
  otherwise: number,
): number {
  return (values.get(suite) ?? values.get(undefined) ?? otherwise) * 1000;
}

/** Those of `--score-from`. */
export function scoreFromSources(options: ScoreFromCommandOptions): SuiteSource[] {
  return suiteOrigins(options).map(({ suite, origin, from }) => {
    if (isPerNode(origin)) {
      throw usage(`--score-from (${suite}): ${NAME_MARK} is for \`meshnet evaluator\``);
    }
    return { suite, source: scoreFrom(origin, from) };
  });
}

/** One `--score-from`, and how its values are read. */
export interface SuiteOrigin {
  readonly suite: string;
  readonly origin: ScoreOrigin;
  readonly from: ScoreFromOptions;
}

export function suiteOrigins(options: ScoreFromCommandOptions): SuiteOrigin[] {
  const maps = new Map((options.map ?? []).map(mapOf));
  return (options.scoreFrom ?? []).map((text) => {
    const [suite = options.suite, rest] = withSuite(text);
    const origin = parseScoreOrigin(rest);
    if (origin === undefined) {
      const kinds = Object.keys(HARNESSES).join(', ');
      throw usage(`--score-from ${text}: expected [SUITE=]KIND:PLACE[#WHAT], KIND one of ${kinds}`);
    }
    const { location } = originOf(origin, 'node');
    if (origin.kind === 'prometheus' && (!URL.canParse(location) || !origin.selector)) {
      throw usage(`--score-from ${text}: expected prometheus:URL#QUERY`);
    }
    const map = maps.get(suite) ?? maps.get(undefined);
    const { minDone } = options;
    return { suite, origin, from: { clock: systemClock, minDone, ...(map ? { map } : {}) } };
  });
}

function mapOf(text: string): [string | undefined, { zero: number; one: number }] {
  const [suite, range] = withSuite(text);
  const match = /^(-?[\d.]+)\.\.(-?[\d.]+)$/.exec(range);
  const [zero, one] = [Number(match?.[1]), Number(match?.[2])];
  if (!Number.isFinite(zero) || !Number.isFinite(one) || zero === one) {
    throw usage(`--map ${text}: expected [SUITE=]WORST..BEST, such as 0..100 or 500..50`);
  }
  return [suite, { zero, one }];
}

/** `SUITE=rest`, or the rest alone. */
function withSuite(text: string): [string | undefined, string] {
  const split = text.indexOf('=');
  const suite = text.slice(0, Math.max(0, split));
  const isSuite = new RegExp(suiteField.pattern).test(suite);
  return isSuite ? [suite, text.slice(split + 1)] : [undefined, text];
}

function usage(message: string): CommandError {
  return new CommandError(EXIT.usage, 'usage', message);
}
