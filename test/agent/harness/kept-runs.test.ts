import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../src/agent/clock.ts';
import { KeptRuns, type KeptRunsOptions } from '../../../src/agent/harness/kept-runs.ts';
import { readRunFile } from '../../../src/agent/harness/run-file.ts';
import { temporaryDirectory } from '../support/rig.ts';

const never = new AbortController().signal;
const soon = { timeout: 20_000, interval: 20 };
const HOUR = 3_600_000;

let directory: ReturnType<typeof temporaryDirectory>;
let file: string;
/** ms that the wall clock is ahead. */
let ahead: number;
beforeEach(() => {
  directory = temporaryDirectory();
  file = join(directory.path, 'runs', 'red-team.json');
  ahead = 0;
});
afterEach(async () => {
  const last = existsSync(file) ? readRunFile(file) : undefined;
  if (last?.result === null && isRunning(last.pid)) process.kill(last.pid, 'SIGTERM');
  await expect.poll(() => begun().filter(isRunning), soon).toEqual([]);
  // Whoever runs a command still writes, and those who came too late still look.
  await expect.poll(() => last !== undefined && isRunning(last.pid), soon).toBe(false);
  await expect.poll(runners, soon).toEqual([]);
  directory.remove();
});

const clock = { ...systemClock, wall: () => Date.now() + ahead };
const runs = (command: string, change: Partial<KeptRunsOptions> = {}) =>
  new KeptRuns(command, {
    file,
    timeoutMs: 60_000,
    intervalMs: HOUR,
    clock,
    user: null,
    ...change,
  });

/** A command that notes its process, waits until it may end, and then ends with `how`. */
const noted = (how: string) =>
  `echo $$ >>${join(directory.path, 'pids')}; while [ ! -e ${join(directory.path, 'end')} ]; do sleep 0.05; done; ${how}`;
const letEnd = () => writeFileSync(join(directory.path, 'end'), '');
const begun = (): number[] => {
  const pids = join(directory.path, 'pids');
  return existsSync(pids) ? readFileSync(pids, 'utf8').trim().split('\n').map(Number) : [];
};
/** Processes between, as far as this one has started them. */
function runners(): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || !isRunning(Number(pid))) return false;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const isOurs = stat.slice(stat.lastIndexOf(')')).split(' ')[2] === String(process.pid);
      return isOurs && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('command-process');
    } catch {
      return false; // it has gone meanwhile
    }
  });
}
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

test('the source tells at once; a result comes when the run has ended, dated then', async () => {
  const one = runs(noted('echo 0.9'));
  expect(await one.source(never)).toBeNull();
  expect(await one.source(never)).toBeNull();
  await expect.poll(() => begun().length, soon).toBe(1);
  expect(Date.now() - one.runningSince!).toBeLessThan(30_000);
  const before = Date.now();
  letEnd();
  await expect.poll(() => one.source(never), soon).toMatchObject({ score: 0.9 });
  const { observedAt } = (await one.source(never))!;
  expect(observedAt).toBeGreaterThanOrEqual(before);
  expect(one.runningSince).toBeUndefined();
  expect(begun()).toHaveLength(1);
});

test('a run outlives its node, and the next node takes its result; never are there two', async () => {
  const command = noted('echo 0.8 >&2; echo 0.8');
  const script = join(import.meta.dirname, 'support', 'kept-run.ts');
  const node = spawn(process.execPath, [script, command, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(node.stdout!, 'data');
  await expect.poll(() => begun().length, soon).toBe(1);
  node.kill('SIGKILL');
  await once(node, 'exit');
  const next = runs(command);
  const meanwhile = runs(command);
  expect(await next.source(never)).toBeNull();
  expect(await meanwhile.source(never)).toBeNull();
  expect(next.runningSince).toBeDefined();
  letEnd();
  await expect.poll(() => next.source(never), soon).toMatchObject({ score: 0.8 });
  expect(begun()).toHaveLength(1);
});

test('two that begin at the same moment have one run', async () => {
  const command = noted('echo 0.8');
  const several = [runs(command), runs(command), runs(command)];
  await Promise.all(several.map((one) => one.source(never)));
  await expect.poll(() => begun().length, soon).toBe(1);
  letEnd();
  for (const one of several) {
    await expect.poll(() => one.source(never), soon).toMatchObject({ score: 0.8 });
  }
  expect(begun()).toHaveLength(1);
});

test('after a restart the next run waits until it is due; the last result is known still', async () => {
  letEnd();
  const command = noted('echo 0.7');
  const first = runs(command);
  await expect.poll(() => first.source(never), soon).toMatchObject({ score: 0.7 });
  const next = runs(command);
  expect(await next.source(never)).toMatchObject({ score: 0.7 });
  expect(begun()).toHaveLength(1);
  ahead = HOUR;
  expect(await next.source(never)).toMatchObject({ score: 0.7 });
  await expect.poll(() => begun().length, soon).toBe(2);
});

test('a run that fails or takes too long is told once, and the next one waits its turn', async () => {
  letEnd();
  const failing = runs(noted('echo 0.7; exit 3'));
  await expect
    .poll(() => failing.source(never).catch(({ code }) => code), soon)
    .toBe('exit_status');
  expect(await failing.source(never)).toBeNull();
  expect(begun()).toHaveLength(1);
  const slow = runs(`echo $$ >>${join(directory.path, 'pids')}; sleep 300`, { timeoutMs: 300 });
  await expect.poll(() => slow.source(never).catch(({ code }) => code), soon).toBe('timeout');
  expect(begun().filter(isRunning)).toEqual([]);
});

test('another command ends the run of the one before', async () => {
  const before = runs(noted('echo 0.1'));
  await before.source(never);
  await expect.poll(() => begun().length, soon).toBe(1);
  const after = runs('echo 0.9');
  await expect.poll(() => after.source(never), soon).toMatchObject({ score: 0.9 });
  expect(begun().filter(isRunning)).toEqual([]);
});

test('a run that was cut off is told, and begun anew', async () => {
  const command = noted('echo 0.9');
  const first = runs(command);
  await first.source(never);
  await expect.poll(() => begun().length, soon).toBe(1);
  for (const pid of [readRunFile(file)!.pid, ...begun()]) process.kill(pid, 'SIGKILL');
  const next = runs(command);
  await expect.poll(() => next.source(never).catch(({ code }) => code), soon).toBe('not_started');
  letEnd();
  await expect.poll(() => next.source(never), soon).toMatchObject({ score: 0.9 });
});

test('a file that is none of a run is not overwritten', async () => {
  letEnd();
  const one = runs(noted('echo 0.9'));
  await expect.poll(() => one.source(never), soon).toMatchObject({ score: 0.9 });
  writeFileSync(file, '{"id": 3}');
  await expect(one.source(never)).rejects.toThrow('is not');
  expect(readFileSync(file, 'utf8')).toBe('{"id": 3}');
  rmSync(file);
});

test('a run whose state directory is removed ends, and waits for no room there', async () => {
  const one = runs(noted('echo 0.9'));
  expect(await one.source(never)).toBeNull();
  await expect.poll(() => readRunFile(file)?.pid, soon).toBeGreaterThan(0);
  const { pid } = readRunFile(file)!;
  await expect.poll(begun, soon).toHaveLength(1);
  letEnd();
  rmSync(join(directory.path, 'runs'), { recursive: true });
  await expect.poll(() => isRunning(pid), soon).toBe(false);
});

test('a run that waits for room for its result ends when it is told to', async () => {
  const one = runs(noted('echo 0.9'));
  expect(await one.source(never)).toBeNull();
  await expect.poll(begun, soon).toHaveLength(1);
  const { pid } = readRunFile(file)!;
  mkdirSync(`${file}.new`); // in the way of every replacement
  letEnd();
  await expect.poll(() => begun().filter(isRunning), soon).toEqual([]);
  expect(isRunning(pid)).toBe(true);
  process.kill(pid, 'SIGTERM');
  await expect.poll(() => isRunning(pid), soon).toBe(false);
});
