import { type Measurement, ScoreError } from '../score-source.ts';
import { readMeasurement } from './measured.ts';

/**
 * The last non-empty line of a harness's output: a number from 0 to 1, or a JSON object with `score`
 * and possibly `samples`, `suite` and `observed_at`. Throws a `ScoreError`.
 */
export function parseScore(output: string): Measurement {
  const line = output.trimEnd().split('\n').at(-1)?.trim() ?? '';
  if (!line.startsWith('{')) return readMeasurement({ score: numberOf(line) });
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new ScoreError('no_score', `the last line is not JSON: ${shown(line)}`);
  }
  return readMeasurement(value as Record<string, unknown>);
}

function numberOf(line: string): number {
  if (/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(line)) return Number(line);
  throw new ScoreError('no_score', `the last line is not a score from 0 to 1: ${shown(line)}`);
}

function shown(line: string): string {
  return JSON.stringify(line.length > 80 ? `${line.slice(0, 80)}...` : line);
}
