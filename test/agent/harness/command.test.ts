import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../src/agent/clock.ts';
import { commandSource, outputOf } from '../../../src/agent/harness/command.ts';
import { findUser } from '../../../src/agent/harness/score-user.ts';
import { SimClock } from '../../lab/agent-clock.ts';
import { temporaryDirectory } from '../support/rig.ts';

const never = new AbortController().signal;
const options = { timeoutMs: 20_000, clock: systemClock, user: null };
const isRoot = process.geteuid?.() === 0;

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

function isRunning(pid: number): boolean {
  try {
    // A zombie that nobody has reaped yet has ended, too.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Processes that a command wrote down in the file `pids`. */
function noted(): number[] {
  const file = join(directory.path, 'pids');
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').map(Number) : [];
}

const note = (what: string) => `echo ${what} >> ${join(directory.path, 'pids')}`;

test('a command gives its last line, and its failures have names', async () => {
  const run = (command: string) => commandSource(command, options)(never);
  expect(await run('echo start; echo 0.9')).toEqual({ score: 0.9 });
  await expect(run('echo 0.9; exit 3')).rejects.toMatchObject({ code: 'exit_status' });
  await expect(run('echo 0.9; kill -TERM $$')).rejects.toThrow('SIGTERM');
  await expect(run('true')).rejects.toMatchObject({ code: 'no_score' });
  await expect(run('yes | head -c 10000000; echo; echo 0.5')).resolves.toEqual({ score: 0.5 });
});

test('a command has no descriptor but its three, whatever the node was started with', async () => {
  const module = resolve(import.meta.dirname, '../../../src/agent/harness/command.ts');
  const clock = resolve(import.meta.dirname, '../../../src/agent/clock.ts');
  const script = `
    const { outputOf } = await import(${JSON.stringify(module)});
    const { systemClock: clock } = await import(${JSON.stringify(clock)});
    const options = { timeoutMs: 20_000, clock, user: null };
    console.log(await outputOf('for fd in /proc/$$/fd/*; do readlink $fd; done; true', options, new AbortController().signal));`;
  const secret = join(directory.path, 'secret');
  writeFileSync(secret, '');
  const shell = 'exec 9<"$1" 200<"$1"; shift; exec "$@"';
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', '--input-type=module'];
  const child = spawn('bash', ['-c', shell, '-', secret, ...node, '-e', script]);
  const lines = (await text(child.stdout)).trim().split('\n');
  expect(lines.length).toBeGreaterThanOrEqual(3);
  expect(lines).not.toContain(secret);
});

test('statuses that are results are taken as such', async () => {
  const run = outputOf('echo 0.5; exit 100', { ...options, okStatus: [0, 100] }, never);
  expect(await run).toBe('0.5\n');
});

test('the end of the command decides, and helpers that it leaves behind end with it', async () => {
  const inherited = `sleep 300 & ${note('$!')}; echo 0.9`;
  expect(await commandSource(inherited, options)(never)).toEqual({ score: 0.9 });
  const apart = `sleep 300 >/dev/null & ${note('$!')}; echo 0.8`;
  expect(await commandSource(apart, options)(never)).toEqual({ score: 0.8 });
  const hasNoted = `[ "$(wc -l <${join(directory.path, 'pids')})" -eq 3 ]`;
  const escaped = `setsid sh -c '${note('$$')}; exec sleep 300' >/dev/null & until ${hasNoted}; do sleep 0.01; done; echo 0.7`;
  expect(await commandSource(escaped, options)(never)).toEqual({ score: 0.7 });
  const pids = noted();
  expect(pids).toHaveLength(3);
  expect(pids.filter(isRunning)).toEqual([]);
});

test('a command that takes too long is ended with everything it started', async () => {
  const command = `sleep 300 & ${note('$!')}; wait`;
  const clock = new SimClock();
  const run = commandSource(command, { ...options, clock })(never);
  await expect.poll(() => noted().length, { timeout: 10_000 }).toBe(1);
  clock.advance(20_000);
  await expect(run).rejects.toMatchObject({ code: 'timeout' });
  expect(noted().filter(isRunning)).toEqual([]);
});

test('a node that stops ends its harness and does not wait for it', async () => {
  const stop = new AbortController();
  const run = commandSource(`${note('$$')}; sleep 300; echo 1`, options)(stop.signal);
  await expect.poll(() => noted().length, { timeout: 10_000 }).toBe(1);
  stop.abort();
  await expect(run).rejects.toMatchObject({ code: 'stopped' });
  expect(noted().filter(isRunning)).toEqual([]);
});

test('a node that is killed takes its harness with it', async () => {
  const module = resolve(import.meta.dirname, '../../../src/agent');
  const script = `
    import { outputOf } from '${module}/harness/command.ts';
    import { systemClock } from '${module}/clock.ts';
    const options = { timeoutMs: 600_000, clock: systemClock, user: null };
    await outputOf(${JSON.stringify(`${note('$$')}; sleep 300`)}, options, new AbortController().signal);`;
  const node = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' });
  await expect.poll(() => noted().length, { timeout: 10_000 }).toBe(1);
  node.kill('SIGKILL');
  await expect.poll(() => noted().filter(isRunning), { timeout: 10_000 }).toEqual([]);
});

test('what a harness writes to standard error comes in lines that end', async () => {
  const lines: string[] = [];
  const onStderr = (line: string) => void lines.push(line);
  const command = 'echo one >&2; head -c 100000 /dev/zero | tr "\\0" x >&2; echo 0.9';
  await outputOf(command, { ...options, onStderr }, never);
  expect(lines).toEqual(['one', 'x'.repeat(4096)]);
});

test('a harness has no capability, cannot get one, and does not see the join token', async () => {
  const command = 'grep -E "^(Cap|NoNewPrivs)" /proc/self/status; echo "token $MESHNET_TOKEN."';
  process.env.MESHNET_TOKEN = 'secret';
  const output = await outputOf(command, options, never).finally(() => {
    delete process.env.MESHNET_TOKEN;
  });
  expect(output).toMatch(/NoNewPrivs:\s1/);
  for (const set of ['CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
    // Only root has a bounding set to give up.
    if (isRoot || set !== 'CapBnd') expect(output).toMatch(new RegExp(`${set}:\\s0{16}`));
  }
  expect(output).toContain('token .\n');
});

test.runIf(isRoot)("a harness of another user cannot read the node's keys", async () => {
  const key = join(directory.path, 'signing.key');
  chmodSync(directory.path, 0o755); // the file's own mode must do
  writeFileSync(key, 'secret', { mode: 0o600 });
  const user = findUser('nobody')!;
  const command = `id -u; id -G; echo "home $HOME"; cat ${key} 2>/dev/null || true`;
  const output = await outputOf(command, { ...options, user }, never);
  expect(output).toBe(`${user.uid}\n${user.gid}\nhome ${user.home}\n`);
});

test('a user is looked up by name, and only a whole entry counts', () => {
  const passwd =
    'root:x:0:0:root:/root:/bin/sh\nscore:x:990:991::/srv/score:/bin/false\nbad:x:a:1::';
  expect(findUser('score', passwd)).toEqual({
    name: 'score',
    uid: 990,
    gid: 991,
    home: '/srv/score',
  });
  expect(findUser('bad', passwd)).toBeUndefined();
  expect(findUser('nobody', passwd)).toBeUndefined();
});
