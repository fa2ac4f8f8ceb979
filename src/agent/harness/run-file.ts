import { counterField } from '../../contract/fields.ts';
import { type Schema, violation } from '../../contract/schema.ts';
import { readJsonFile } from '../../ground/files.ts';
import type { CommandResult } from './command-messages.ts';

/** The last run of a score command that is kept: under way, or ended with its result. */
export interface RunFile {
  /** Of what was run. */
  readonly id: string;
  /** Of the process that runs it. */
  readonly pid: number;
  /** Wall clock, ms since 1970. */
  readonly started_at: number;
  readonly ended_at: number | null;
  /** `isLate`: its time was over. */
  readonly result: (CommandResult & { readonly isLate: boolean }) | null;
}

const runFile: Schema = {
  type: 'object',
  required: ['id', 'pid', 'started_at', 'ended_at', 'result'],
  additionalProperties: false,
  properties: {
    id: { type: 'string' },
    pid: counterField,
    started_at: counterField,
    ended_at: { type: ['integer', 'null'], minimum: 0 },
    result: { type: ['object', 'null'] },
  },
};

export function runText(run: RunFile): string {
  return `${JSON.stringify(run)}\n`;
}

/** Undefined if there was no run. Throws if the file is none of ours. */
export function readRunFile(path: string): RunFile | undefined {
  const value = readJsonFile(path);
  if (value === undefined) return undefined;
  const bad = violation(runFile, value);
  if (bad) throw new Error(`${path}: ${bad.field || 'content'} is not ${bad.expected}`);
  return value as RunFile;
}
