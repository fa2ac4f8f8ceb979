import { suiteField } from '../../contract/fields.ts';
import { meantDecimal } from '../../contract/meant-decimal.ts';
import { violation } from '../../contract/schema.ts';
import { type Measurement, ScoreError } from '../score-source.ts';
import { isDate, MAX_SAMPLES } from './outcome.ts';

/** What a measurement may consist of, as harnesses and evaluators write it. */
const FIELDS = ['score', 'samples', 'suite', 'observed_at'];

/** The number from 0 to 1 that is meant; undefined if it is none. */
export function meantScore(value: unknown): number | undefined {
  if (typeof value !== 'number') return undefined;
  const score = meantDecimal(value);
  return score >= 0 && score <= 1 ? Math.abs(score) : undefined; // no -0
}

/**
 * Checks what somebody wrote as a measurement. A field that is there and wrong makes it none: guessing
 * would sign what nobody measured. Throws a `ScoreError`.
 */
export function readMeasurement(value: Record<string, unknown>): Measurement {
  const unknown = Object.keys(value).find((name) => !FIELDS.includes(name));
  if (unknown !== undefined) fail(unknown, `none of ${FIELDS.join(', ')}`);
  const score = meantScore(value.score);
  if (score === undefined) fail('score', 'not a score from 0 to 1', value.score);
  const { samples, suite, observed_at } = value;
  return {
    score,
    ...('samples' in value ? { samples: readSamples(samples) } : {}),
    ...('suite' in value ? { suite: readSuite(suite) } : {}),
    ...('observed_at' in value ? { observedAt: readDate(observed_at) } : {}),
  };
}

function readSamples(value: unknown): number {
  if (Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= MAX_SAMPLES) {
    return Number(value);
  }
  return fail('samples', 'not an integer from 1 to 10^9', value);
}

function readSuite(value: unknown): string {
  const bad = violation(suiteField, value);
  if (bad !== undefined && bad !== null) fail('suite', `not ${bad.expected}`, value);
  return value as string;
}

/** ms since 1970, or ISO 8601 with a time zone. */
export function readDate(value: unknown): number {
  const isText =
    typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:?\d\d)$/.test(value);
  const date = isText ? Date.parse(value) : value;
  if (typeof date === 'number' && isDate(date)) return Math.floor(date);
  return fail(
    'observed_at',
    'neither ms since 1970 nor a date such as 2026-01-31T12:00:00Z',
    value,
  );
}

function fail(field: string, what: string, value?: unknown): never {
  const text = value === undefined ? '' : `: ${(JSON.stringify(value) ?? '').slice(0, 80)}`;
  throw new ScoreError('no_score', `${JSON.stringify(field.slice(0, 40))} is ${what}${text}`);
}
