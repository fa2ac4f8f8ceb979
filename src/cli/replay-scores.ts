import { existsSync, readFileSync } from 'node:fs';
import { suiteField } from '../contract/fields.ts';
import { exactly, type FromSchema } from '../contract/from-schema.ts';
import { signingKeyId } from '../contract/ids.ts';
import { violation } from '../contract/schema.ts';
import { ControllerStartError, databaseIn, openState } from '../controller/state-directory.ts';
import { defaultProvider } from '../crypto/select.ts';
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

const crypto = defaultProvider();

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

/** All scores that a controller's state still has. Throws a `CommandError`, also while it runs. */
export async function scoresOfState(directory: string): Promise<RecordedScore[]> {
  if (!existsSync(databaseIn(directory))) {
    const message = `--state ${directory}: there is no controller's database`;
    throw new CommandError(EXIT.usage, 'usage', message);
  }
  const { store, close } = opened(directory);
  try {
    const byNode = await store.scoresSince(0);
    const { nodes } = await store.roster();
    const keyIds = new Map(
      nodes.map(({ nodeId, signing }) => [signingKeyId(crypto, signing), nodeId]),
    );
    const scores = [...byNode].flatMap(([nodeId, of]) =>
      of.map((one) => ({ ...one, nodeId, signer: keyIds.get(one.signer) ?? one.signer })),
    );
    if (scores.length > 0) return scores;
    throw new CommandError(EXIT.usage, 'usage', `--state ${directory}: no scores in it`);
  } finally {
    await close();
  }
}

function opened(directory: string) {
  try {
    return openState(directory);
  } catch (error) {
    if (!(error instanceof ControllerStartError)) throw error;
    throw new CommandError(EXIT.failed, 'cannot_open', `--state: ${error.message}`);
  }
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
