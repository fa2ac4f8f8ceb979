import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { ensurePrivateDirectory } from '../../ground/directory.ts';
import { LockedError, lockFile } from '../../ground/lock.ts';
import { type Measurement, ScoreError, type ScoreSource } from '../score-source.ts';
import { type CommandOptions, checkedOutput, spawnBetween } from './command.ts';
import { type RunFile, readRunFile } from './run-file.ts';
import { parseScore } from './score-line.ts';

export interface KeptRunsOptions extends CommandOptions {
  /** Where the last run stands, in a private directory. */
  readonly file: string;
  /** From the start of a run to the start of the next, ms. */
  readonly intervalMs: number;
}

/**
 * A score command whose runs last: one after the other, never two at once, each to its end even if the
 * node ends before. The source tells at once what is known: the result of the last run, dated at its
 * end where it tells no date, or null.
 */
export class KeptRuns {
  private readonly command: string;
  private readonly options: KeptRunsOptions;
  private readonly id: string;
  private run: RunFile | undefined;
  /** Of the run that started then. */
  private readAt: number | undefined;
  private measurement: Measurement | undefined;
  /** Start of a run of which it is known that its process is there, or was. */
  private knownAt: number | undefined;

  constructor(command: string, options: KeptRunsOptions) {
    this.command = command;
    this.options = options;
    const { user, okStatus } = options;
    const what = JSON.stringify([command, user?.name ?? null, okStatus ?? null]);
    this.id = createHash('sha256').update(what).digest('hex');
  }

  /** Since when (wall clock, ms) a run is under way; undefined if none is. */
  get runningSince(): number | undefined {
    return this.run?.ended_at === null ? this.run.started_at : undefined;
  }

  readonly source: ScoreSource = async (signal) => {
    const run = readRunFile(this.options.file);
    this.run = run;
    if (run !== undefined && this.isUnderWay(run)) {
      if (run.id !== this.id) process.kill(run.pid, 'SIGTERM'); // another command took its place
      return this.measurement ?? null;
    }
    if (run === undefined || run.id !== this.id) {
      this.measurement = undefined;
      await this.start(signal);
      return null;
    }
    const isNew = run.started_at !== this.readAt;
    this.readAt = run.started_at;
    if (run.result === null) {
      await this.start(signal);
      if (!isNew) return null;
      throw new ScoreError('not_started', 'the run ended without a word and is begun anew');
    }
    if (isNew) {
      this.measurement = undefined;
      this.measurement = { observedAt: run.ended_at!, ...this.measured(run.result) };
    }
    const age = this.options.clock.wall() - run.started_at;
    // Begun in what is the future: the clock was set back, and nobody knows when it is due.
    if (age >= this.options.intervalMs || age < 0) await this.start(signal);
    return this.measurement ?? null;
  };

  private measured(result: NonNullable<RunFile['result']>): Measurement {
    const { okStatus, timeoutMs, user } = this.options;
    if (result.isLate) {
      throw new ScoreError('timeout', `the command took longer than ${timeoutMs / 1000} s`);
    }
    return parseScore(checkedOutput(result, okStatus, user));
  }

  private isUnderWay({ pid, started_at, result }: RunFile): boolean {
    if (result !== null || !isRunning(pid)) return false;
    if (started_at === this.knownAt) return true;
    // From before this node was started: by now the number may be another process's.
    if (!this.isHeld()) return false;
    this.knownAt = started_at;
    return true;
  }

  /** Whether a run has the file, if only so far that nothing stands in it. */
  private isHeld(): boolean {
    try {
      lockFile(this.options.file, { program: 'meshnet node' }).release();
      return false;
    } catch (error) {
      if (!(error instanceof LockedError)) throw error;
      return true;
    }
  }

  /** Resolves when the run stands in the file, or could not be begun. */
  private async start(signal: AbortSignal): Promise<void> {
    const { file, timeoutMs, user, onStderr = () => {}, clock } = this.options;
    ensurePrivateDirectory(dirname(file));
    const before = this.run?.started_at;
    const child = spawnBetween({
      command: this.command,
      user,
      keep: { file, id: this.id, timeoutMs, after: before ?? null },
      onStderr,
    });
    let isGone = false;
    for (const end of ['error', 'exit']) child.once(end, () => (isGone = true));
    while (!signal.aborted) {
      const wasGone = isGone;
      this.run = readRunFile(file);
      if (this.run !== undefined && this.run.started_at !== before) {
        this.knownAt = this.run.started_at;
        return;
      }
      // Where another one was first, its word is yet to come.
      if (wasGone && !this.isHeld()) {
        throw new ScoreError('not_started', 'the run could not be begun');
      }
      await clock.sleep(START_POLL, signal);
    }
  }
}

/** Between two looks whether a run has begun, ms. */
const START_POLL = 50;

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
