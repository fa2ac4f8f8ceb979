import { type Leaf, parseLeaf } from '../contract/record/leaf.ts';
import { decodeLines, parseVerdictRow, type VerdictRow } from '../contract/record/verdict-row.ts';
import { defaultProvider } from '../crypto/select.ts';
import type { SignedCheckpoint } from '../record/checkpoint.ts';
import type { NoteKey } from '../record/note.ts';
import { LogFault, LogReader, type ReadFile, readCheckpoint } from '../record/read-log.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { keyOfLog, type LogSource, type LogSourceOptions, logSource } from './log-source.ts';

/** A log that a command has read, and found to be what the mesh signed. */
export class ReadLog implements LogSource {
  readonly read: ReadFile;
  readonly meshId: Uint8Array;
  readonly key: NoteKey;
  readonly leaves: Leaf[] = [];
  checkpoint!: SignedCheckpoint;
  private readonly reader: LogReader;

  constructor({ read, meshId }: LogSource, key: NoteKey) {
    this.read = read;
    this.meshId = meshId;
    this.key = key;
    this.reader = new LogReader(defaultProvider(), read);
  }

  get entries(): readonly Uint8Array[] {
    return this.reader.entries;
  }

  get tree(): LogReader['tree'] {
    return this.reader.tree;
  }

  /**
   * Reads what is new. Rejects with a `CommandError` unless structure, signature and every leaf are as
   * they must be.
   */
  async readOn(progress: (what: string) => void = () => {}): Promise<void> {
    try {
      const { reader, leaves } = this;
      this.checkpoint = await readCheckpoint(defaultProvider(), this.key, this.read);
      const { size } = this.checkpoint;
      await reader.readTo(this.checkpoint, (entries) =>
        progress(`read ${entries} of ${size} leaves`),
      );
      for (const content of reader.entries.slice(leaves.length)) {
        const leaf = parseLeaf(content);
        if (leaf === undefined) {
          throw new LogFault(`leaf ${leaves.length}`, 'is none that is known here');
        }
        leaves.push(leaf);
      }
    } catch (error) {
      if (!(error instanceof LogFault)) throw error;
      throw new CommandError(EXIT.failed, 'wrong_log', error.message);
    }
  }
}

/** Rejects with a `CommandError`, as {@link ReadLog.readOn} does, and where there is no such log. */
export async function readLog(
  where: string | undefined,
  options: LogSourceOptions,
  progress: (what: string) => void = () => {},
): Promise<ReadLog> {
  const source = await logSource(where, options);
  const log = new ReadLog(source, await keyOfLog(defaultProvider(), source));
  await log.readOn(progress);
  return log;
}

/** An epoch's rows, not checked against its leaf; none where they are not kept. */
export async function rowsOf(read: ReadFile, epoch: number): Promise<VerdictRow[]> {
  const lines = decodeLines((await read(`verdicts/${epoch}`)) ?? new Uint8Array(0)) ?? [];
  return lines.map(parseVerdictRow).filter((row) => row !== undefined);
}
