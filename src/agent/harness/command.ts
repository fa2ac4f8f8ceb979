import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { extname } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { AgentClock } from '../clock.ts';
import { ScoreError, type ScoreSource } from '../score-source.ts';
import type { CommandRequest, CommandResult, KeepRequest } from './command-messages.ts';
import { parseScore } from './score-line.ts';
import type { ScoreUser } from './score-user.ts';

export interface CommandOptions {
  readonly timeoutMs: number;
  readonly clock: AgentClock;
  /** Who runs it; null: the user that the node runs as. */
  readonly user: ScoreUser | null;
  /** Exit statuses that are results; default 0 alone. */
  readonly okStatus?: readonly number[];
  /** Takes its standard error line by line, as it was written; default: it is thrown away. */
  readonly onStderr?: (line: string) => void;
}

/** How long (ms) the process between may take to end what it was told to end. */
const END_MS = 5000;

/** Longer lines of its standard error are cut. */
const MAX_LINE = 4096;

/** What a harness has no business with. */
const WITHHELD = ['MESHNET_TOKEN', 'NODE_COMPILE_CACHE', 'MESH_NOHUP'];

/**
 * Runs `command` (in /bin/sh, without capabilities) and reads the last line of its standard output:
 * {@link parseScore}. The command's own end decides; what it leaves running is ended with it.
 */
export function commandSource(command: string, options: CommandOptions): ScoreSource {
  return async (signal) => parseScore(await outputOf(command, options, signal));
}

/** The end of a command's standard output. Throws a `ScoreError`. */
export async function outputOf(
  command: string,
  { timeoutMs, clock, user, okStatus, onStderr = () => {} }: CommandOptions,
  signal: AbortSignal,
): Promise<string> {
  const child = spawnBetween({ command, user, onStderr });

  const done = new AbortController();
  let why: 'timeout' | 'stopped' | undefined;
  const { promise: gaveUp, resolve: giveUp } = Promise.withResolvers<undefined>();
  const end = async (reason: 'timeout' | 'stopped') => {
    if (done.signal.aborted) return;
    why ??= reason;
    child.stdin.end();
    await clock.sleep(END_MS, done.signal);
    if (done.signal.aborted) return;
    child.kill('SIGKILL');
    giveUp(undefined); // also where it hangs in the kernel
  };
  const stopped = () => void end('stopped');
  signal.addEventListener('abort', stopped, { once: true });
  if (signal.aborted) stopped();
  void clock.sleep(timeoutMs, done.signal).then(() => end('timeout'));
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  // Its last line of standard error may come behind the result: two pipes have no order.
  const told = Promise.all([text(child.stdout), once(child.stderr, 'end')]);
  try {
    const [line] = (await Promise.race([told, gaveUp, failed])) ?? [];
    if (why === 'timeout') {
      throw new ScoreError('timeout', `the command took longer than ${timeoutMs / 1000} s`);
    }
    if (why === 'stopped') throw new ScoreError('stopped', 'the node stops');
    return checkedOutput(resultOf(line), okStatus, user);
  } catch (error) {
    if (error instanceof ScoreError) throw error;
    throw new ScoreError('not_started', (error as Error).message);
  } finally {
    done.abort();
    signal.removeEventListener('abort', stopped);
    child.stdin.end();
  }
}

interface BetweenOptions extends Required<Pick<CommandOptions, 'user' | 'onStderr'>> {
  readonly command: string;
  readonly keep?: KeepRequest;
}

/** Starts the process between, with its request. One that keeps its run does not hold up our end. */
export function spawnBetween({ command, user, keep, onStderr }: BetweenOptions) {
  const url = new URL(`./command-process${extname(import.meta.url)}`, import.meta.url);
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--disable-sigusr1', fileURLToPath(url)],
    { stdio: ['pipe', 'pipe', 'pipe'], detached: true, env: environment(user) },
  );
  child.stdin.on('error', () => {}); // it ended before it was told
  forwardLines(child.stderr, onStderr);
  const { uid, gid } = user ?? {};
  const request: CommandRequest = {
    command,
    user: uid === undefined || gid === undefined ? null : { uid, gid },
    ...(keep === undefined ? {} : { keep }),
  };
  child.stdin.write(`${JSON.stringify(request)}\n`);
  if (keep !== undefined) {
    child.unref();
    for (const pipe of child.stdio) if (pipe instanceof Socket) pipe.unref();
  }
  return child;
}

/** Hands on lines, cut where they do not end: nobody's memory is a harness's to fill. */
function forwardLines(stream: Readable, onLine: (line: string) => void): void {
  let line = '';
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (line + chunk).split('\n');
    line = parts.pop()!.slice(0, MAX_LINE);
    for (const part of parts) onLine(part.slice(0, MAX_LINE));
  });
  stream.on('end', () => {
    if (line !== '') onLine(line);
  });
}

function resultOf(line: string | undefined): CommandResult {
  if (line === undefined || line === '') {
    throw new ScoreError('not_started', 'the process that runs the command ended without a word');
  }
  return JSON.parse(line) as CommandResult;
}

/** What a command printed whose status is a result. Throws a `ScoreError`. */
export function checkedOutput(
  { status, signal, output, error }: CommandResult,
  okStatus: readonly number[] = [0],
  user: ScoreUser | null,
): string {
  if (error !== null) throw new ScoreError('not_started', error);
  if (status !== null && okStatus.includes(status)) return output;
  // 126 and 127 are the shell's: it may not execute it, or does not find it.
  const who =
    user !== null && (status === 126 || status === 127)
      ? `, run by ${user.name}: see --score-user`
      : '';
  throw new ScoreError(
    'exit_status',
    `the command ended with ${signal ?? `status ${status}`}${who}`,
  );
}

function environment(user: ScoreUser | null): NodeJS.ProcessEnv {
  const env = { ...process.env };
  for (const name of WITHHELD) delete env[name];
  if (user === null) return env;
  return { ...env, HOME: user.home, USER: user.name, LOGNAME: user.name };
}
