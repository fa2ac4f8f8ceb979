import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { replaceFileSync } from '../../ground/files.ts';
import { type Lock, LockedError, lockFile } from '../../ground/lock.ts';
import { F_SETFD, FD_CLOEXEC } from '../../io/linux/constants.ts';
import { syscalls, unsupported } from '../../io/linux/syscalls.ts';
import type { CommandRequest, CommandResult, KeepRequest } from './command-messages.ts';
import { readRunFile, runText } from './run-file.ts';

/**
 * The process between a node and its harness. It gives up what a harness must not have, runs the
 * command, and ends everything that the command started when that ends, when the node says so (its
 * standard input ends) or when the node dies. One request line comes in, one result line goes out.
 *
 * A run that is kept (`keep`) outlives the node: the result goes into a file, and what ends the run
 * early is its time or SIGTERM.
 */

/** Of a command's output only the end is kept: the last line is what counts. */
const KEPT_OUTPUT = 65_536;
/** Until a process that was killed is gone, and how often the survivors are looked for, ms. */
const KILL_ROUND = 10;
const KILL_ROUNDS = 200;
/** How often, and after which pause (ms), a result is written that finds no room. */
const WRITE_TRIES = 360;
const WRITE_PAUSE = 10_000;
/** How long (ms) a pipe may stay open that a process which cannot be killed holds. */
const LAST_OUTPUT = 500;

// linux/prctl.h
const PR_CAPBSET_DROP = 24;
const PR_SET_CHILD_SUBREAPER = 36;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4n;
const CAPABILITIES = 64;

/**
 * No process that is started from here on has a capability or can get one, by no file, nor a descriptor but
 * its three: Node keeps some back of what whoever started the node has left open, not all.
 */
function giveUpPrivileges(): void {
  if (unsupported() !== undefined) return; // the user is changed all the same
  const { fcntl, prctl } = syscalls();
  for (const name of readdirSync('/proc/self/fd')) {
    if (Number(name) > 2) fcntl(Number(name), F_SETFD, FD_CLOEXEC);
  }
  // Whoever loses its parent among the descendants becomes a child of this process: none escapes.
  prctl(PR_SET_CHILD_SUBREAPER, 1n, 0n, 0n, 0n);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0n, 0n, 0n);
  // Refused where this process has none to give up, and for numbers that this kernel does not know.
  for (let one = 0; one < CAPABILITIES; one++) prctl(PR_CAPBSET_DROP, BigInt(one), 0n, 0n, 0n);
  const refused = prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n);
  if (refused < 0) throw new Error(`no_new_privs: errno ${-refused}`);
}

/** Processes below `root` that have not ended yet, by /proc. */
function descendants(root: number): number[] {
  const children = new Map<number, number[]>();
  const ended = new Set<number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    let stat: string;
    try {
      stat = readFileSync(`/proc/${name}/stat`, 'latin1');
    } catch {
      continue; // it has gone meanwhile
    }
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') ended.add(Number(name));
    const siblings = children.get(Number(parent));
    if (siblings === undefined) children.set(Number(parent), [Number(name)]);
    else siblings.push(Number(name));
  }
  const found: number[] = [];
  const unseen = [root];
  for (let next = unseen.pop(); next !== undefined; next = unseen.pop()) {
    for (const child of children.get(next) ?? []) {
      unseen.push(child);
      if (!ended.has(child)) found.push(child);
    }
  }
  return found;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it ended in this very moment
  }
}

/** Ends the command's process group and whatever left it. */
async function endAll(child: ChildProcess): Promise<void> {
  if (child.pid !== undefined) kill(-child.pid);
  if (process.platform !== 'linux') return;
  for (let round = 0; round < KILL_ROUNDS; round++) {
    const left = descendants(process.pid);
    if (left.length === 0) return;
    for (const pid of left) kill(pid);
    await sleep(KILL_ROUND);
  }
}

async function run(
  { command, user }: CommandRequest,
  stop: Promise<unknown>,
): Promise<CommandResult> {
  const child = spawn('/bin/sh', ['-c', command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    ...(user === null ? {} : user),
  });
  // Read to its end even if nobody takes it: a node that is gone must not end what it has started.
  child.stderr.on('data', (chunk: Buffer) => process.stderr.write(chunk));
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output = (output + chunk).slice(-KEPT_OUTPUT);
  });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const ended = new Promise<Omit<CommandResult, 'output'>>((resolve) => {
    child.once('error', ({ message }) => resolve({ status: null, signal: null, error: message }));
    child.once('exit', (status, signal) => resolve({ status, signal, error: null }));
  });
  void stop.then(() => endAll(child));
  const result = await ended;
  await endAll(child);
  if (result.error === null) await Promise.race([closed, sleep(LAST_OUTPUT)]);
  return { ...result, output };
}

/** The first line of standard input, and when that ends. */
async function request(): Promise<{ first: CommandRequest; end: Promise<unknown> }> {
  let line = '';
  for await (const chunk of process.stdin
    .setEncoding('utf8')
    .iterator({ destroyOnReturn: false })) {
    line += chunk as string;
    if (line.endsWith('\n')) break;
  }
  return { first: JSON.parse(line) as CommandRequest, end: text(process.stdin) };
}

/** Runs it unless the same is under way already, and leaves the result in the file. */
async function runKept(request: CommandRequest, keep: KeepRequest): Promise<void> {
  let lock: Lock;
  try {
    lock = lockFile(keep.file, { program: 'a run of a score command' });
  } catch (error) {
    if (error instanceof LockedError) return;
    throw error;
  }
  if ((readRunFile(keep.file)?.started_at ?? null) !== keep.after) return lock.release();
  const started = { id: keep.id, pid: process.pid, started_at: Date.now() };
  replaceFileSync(keep.file, runText({ ...started, ended_at: null, result: null }));
  let isLate = false;
  const { promise: stop, resolve } = Promise.withResolvers<void>();
  const told = new AbortController();
  process.on('SIGTERM', () => {
    told.abort();
    resolve();
  });
  const late = setTimeout(() => {
    isLate = true;
    resolve();
  }, keep.timeoutMs);
  const result = await attempted(request, stop);
  clearTimeout(late);
  const ended = { ...started, ended_at: Date.now(), result: { ...result, isLate } };
  // Hours of work are not lost to a disk that is full for some minutes.
  for (let tries = 0; ; tries++) {
    try {
      replaceFileSync(keep.file, runText(ended));
      break;
    } catch (error) {
      // Where there is no directory any more, nobody waits for the result either.
      const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT';
      if (isGone || told.signal.aborted || tries >= WRITE_TRIES) throw error;
      await sleep(WRITE_PAUSE, undefined, { signal: told.signal }).catch(() => {});
    }
  }
  lock.release();
}

async function attempted(request: CommandRequest, stop: Promise<unknown>): Promise<CommandResult> {
  try {
    giveUpPrivileges();
    return await run(request, stop);
  } catch (error) {
    return { status: null, signal: null, output: '', error: (error as Error).message };
  }
}

process.stderr.on('error', () => {}); // the node is gone
process.stdout.on('error', () => process.exit(0)); // the node is gone, and all has been ended
const { first, end } = await request();
if (first.keep === undefined) {
  const result = await attempted(first, end);
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
} else {
  end.catch(() => {}); // whether the node is there does not matter
  await runKept(first, first.keep);
  process.exit(0);
}
