import { readFileSync } from 'node:fs';
import { suiteField } from '../contract/fields.ts';
import { exactly, type FromSchema } from '../contract/from-schema.ts';
import { violation } from '../contract/schema.ts';
import type { RecordedScore } from '../replay/recorded.ts';
import { CommandError, EXIT } from './exit-codes.ts';

const lineSchema = exactly(
  {
    node_id: { type: 'string', minLength: 1, maxLength: 63 },
    score: { type: 'number', minimum: 0, maximum: 1, description: 'a number from 0 to 1' },
    received_at: { type: 'integer', minimum: 0, description: 'milliseconds, an integer' },
  },
  {
    suite: suiteField,
    samples: { type: 'integer', minimum: 1 },
    observed_at: { type: 'integer', minimum: 0, description: 'milliseconds, an integer' },
    signer: { type: 'string', minLength: 1, maxLength: 63 },
  },
);

type Line = FromSchema<typeof lineSchema>;

/** Scores of a JSONL file, one object a line. Throws a `CommandError` naming line and field. */
export function readScores(path: string): RecordedScore[] {
  const text = read(path);
  const scores = text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const one = parsed(line, `${path}:${index + 1}`);
    const { node_id: nodeId, received_at: receivedAt, score } = one;
    return {
      nodeId,
      suite: one.suite ?? 'alignment',
      signer: one.signer ?? nodeId,
      score,
      samples: one.samples ?? 1,
      observedAt: one.observed_at ?? receivedAt,
      receivedAt,
    };
  });
  if (scores.length === 0) throw new CommandError(EXIT.usage, 'usage', `${path}: no scores in it`);
  return scores;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CommandError(EXIT.usage, 'usage', `--from ${path}: ${(error as Error).message}`);
  }
}

function parsed(line: string, place: string): Line {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new CommandError(EXIT.usage, 'usage', `${place}: expected a JSON object`);
  }
  const bad = violation(lineSchema, value);
  if (bad === undefined) return value as Line;
  const field = bad.field || 'the line';
  throw new CommandError(EXIT.usage, 'usage', `${place}: ${field}: expected ${bad.expected}`);
}
