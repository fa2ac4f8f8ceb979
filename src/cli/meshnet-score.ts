import { createInterface } from 'node:readline';
import { readDate, readMeasurement } from '../agent/harness/measured.ts';
import { parseScore } from '../agent/harness/score-line.ts';
import { type Measurement, ScoreError } from '../agent/score-source.ts';
import { isNodeId } from '../contract/ids.ts';
import {
  Evaluator,
  type EvaluatorOptions,
  isUnreachable,
  lockKey,
  meshOf,
  type Report,
} from './evaluator.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { type ScoreFromCommandOptions, scoreFromSources } from './score-sources.ts';

export interface ScoreOptions extends EvaluatorOptions, ScoreFromCommandOptions {
  readonly mesh?: string;
  readonly observedAt?: string;
  readonly batch?: boolean;
  readonly json?: boolean;
}

/** How long to wait for others who report with the same key: their scores come first. */
const LOCK_WAIT_MS = 300_000;

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
  const meshId = meshOf(options.mesh);
  const reports = options.batch ? [] : await reportsOf(node!, value, options);
  const lock = lockKey(options.key, { program: 'meshnet score', waitMs: LOCK_WAIT_MS });
  try {
    const evaluator = new Evaluator(options, meshId);
    for (const one of reports) await report(evaluator, one, options);
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

/** Prints what became of it. Throws a `CommandError` if it was not accepted. */
async function report(evaluator: Evaluator, what: Report, options: ScoreOptions): Promise<void> {
  const { node, measurement } = what;
  const event = await evaluator.deliver(what, new AbortController().signal);
  if (event?.event === 'score_failed') {
    const exitCode = isUnreachable(event) ? EXIT.unreachable : EXIT.refused;
    throw new CommandError(exitCode, event.code, event.detail);
  }
  const line =
    event?.event === 'score'
      ? `${node}: ${measurement.score} (${event.suite}, sequence ${event.sequence}) accepted`
      : `${node}: ${measurement.score} is not sent again: one of this date or a later one was accepted before`;
  const told = event ?? { event: 'score_known' };
  process.stdout.write(`${options.json ? JSON.stringify({ ...told, node }) : line}\n`);
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
      await report(evaluator, lineOf(text.trim(), options), options);
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

function usage(message: string): CommandError {
  return new CommandError(EXIT.usage, 'usage', message);
}
