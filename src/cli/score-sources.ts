import { systemClock } from '../agent/clock.ts';
import { HARNESSES } from '../agent/harness/adapters.ts';
import { commandSource } from '../agent/harness/command.ts';
import { isPerNode, NODE_MARK, originOf } from '../agent/harness/node-places.ts';
import {
  parseScoreOrigin,
  type ScoreFromOptions,
  type ScoreOrigin,
  scoreFrom,
} from '../agent/harness/score-from.ts';
import { gaussianSource, type SuiteSource } from '../agent/score-source.ts';
import { suiteField } from '../contract/fields.ts';
import { CommandError, EXIT } from './exit-codes.ts';
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
  readonly scoreCommand?: string;
  readonly scoreTimeout: number;
  readonly scoreUser?: string;
  readonly okStatus?: readonly number[];
  readonly scoreMean?: number;
  readonly scoreDeviation: number;
  readonly scoreRamp?: { readonly to: number; readonly startS: number; readonly lengthS: number };
}

/** Items of a run that `--score-mean` makes up. */
const SIMULATED_SAMPLES = 50;

/** Where a node's scores come from, one source a suite. `onStderr`: of a score command. */
export function scoreSources(
  options: ScoreSourceOptions,
  warn: (message: string) => void,
  onStderr: (line: string) => void,
): SuiteSource[] {
  const { suite, scoreCommand, scoreMean } = options;
  const sources = scoreFromSources(options);
  if (scoreCommand !== undefined && scoreMean !== undefined) {
    throw usage('give either --score-command or --score-mean');
  }
  if (scoreCommand !== undefined) {
    const source = commandSource(scoreCommand, {
      timeoutMs: options.scoreTimeout * 1000,
      clock: systemClock,
      user: scoreUser(options.scoreUser, warn),
      onStderr,
      ...(options.okStatus === undefined ? {} : { okStatus: options.okStatus }),
    });
    sources.push({ suite, source });
  }
  if (scoreMean !== undefined) {
    const { scoreDeviation: deviation, scoreRamp } = options;
    const samples = options.samples ?? SIMULATED_SAMPLES;
    const ramp = scoreRamp === undefined ? {} : { ramp: scoreRamp };
    const gaussian = { mean: scoreMean, deviation, samples, ...ramp };
    sources.push({ suite, source: gaussianSource(gaussian, systemClock, Math.random) });
  }
  const twice = sources.find((one, at) => sources.findIndex((o) => o.suite === one.suite) < at);
  if (twice !== undefined) throw usage(`two sources of scores for the suite ${twice.suite}`);
  return sources;
}

/** Those of `--score-from`. */
export function scoreFromSources(options: ScoreFromCommandOptions): SuiteSource[] {
  return suiteOrigins(options).map(({ suite, origin, from }) => {
    if (isPerNode(origin)) {
      throw usage(`--score-from (${suite}): ${NODE_MARK} is for \`meshnet evaluator\``);
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
