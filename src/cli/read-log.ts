import { type Leaf, parseLeaf } from '../contract/record/leaf.ts';
import { decodeLines, parseVerdictRow, type VerdictRow } from '../contract/record/verdict-row.ts';
import { defaultProvider } from '../crypto/select.ts';
import type { NoteKey } from '../record/note.ts';
import {
  LogFault,
  type ReadFile,
  readCheckpoint,
  readWholeLog,
  type WholeLog,
} from '../record/read-log.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { keyOfLog, type LogSource, type LogSourceOptions, logSource } from './log-source.ts';

/** A log that a command has read, and found to be what the mesh signed. */
export interface ReadLog extends WholeLog, LogSource {
  readonly leaves: readonly Leaf[];
  readonly key: NoteKey;
}

/** Rejects with a `CommandError` unless structure, signature and every leaf are as they must be. */
export async function readLog(
  where: string | undefined,
  options: LogSourceOptions,
  progress: (what: string) => void = () => {},
): Promise<ReadLog> {
  const crypto = defaultProvider();
  const source = await logSource(where, options);
  try {
    const key = await keyOfLog(crypto, source);
    const checkpoint = await readCheckpoint(crypto, key, source.read);
    const log = await readWholeLog(crypto, checkpoint, source.read, (entries) =>
      progress(`read ${entries} of ${checkpoint.size} leaves`),
    );
    const leaves = log.entries.map((content, index) => {
      const leaf = parseLeaf(content);
      if (leaf === undefined) throw new LogFault(`leaf ${index}`, 'is none that is known here');
      return leaf;
    });
    return { ...log, ...source, leaves, key };
  } catch (error) {
    if (!(error instanceof LogFault)) throw error;
    throw new CommandError(EXIT.failed, 'wrong_log', error.message);
  }
}

/** An epoch's rows, not checked against its leaf; none where they are not kept. */
export async function rowsOf(read: ReadFile, epoch: number): Promise<VerdictRow[]> {
  const lines = decodeLines((await read(`verdicts/${epoch}`)) ?? new Uint8Array(0)) ?? [];
  return lines.map(parseVerdictRow).filter((row) => row !== undefined);
}
