import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { ensurePrivateDirectory } from '../../src/ground/directory.ts';
import { lockDirectory, lockFile } from '../../src/ground/lock.ts';
import { runProgram } from '../lab/programs.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ground-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
});

test('a directory is made with its parents, for its owner alone', () => {
  const path = join(folder, 'a', 'b');
  ensurePrivateDirectory(path);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  ensurePrivateDirectory(path);
});

test.each([0o770, 0o702, 0o1777])('one in which others may write is refused (mode %o)', (mode) => {
  writeFileSync(join(folder, 'planted'), '');
  chmodSync(folder, mode);
  expect(() => ensurePrivateDirectory(folder)).toThrow(/others may write here .* run: chmod 700/);
});

test('a new file system of our own, open to all and empty, is made private', () => {
  chmodSync(folder, 0o1777);
  ensurePrivateDirectory(folder);
  expect(statSync(folder).mode & 0o7777).toBe(0o700);
});

test('one that others may only read is taken: what is secret in it has a mode of its own', () => {
  chmodSync(folder, 0o755);
  ensurePrivateDirectory(folder);
});

test('a link and a file are refused', () => {
  const real = join(folder, 'real');
  mkdirSync(real);
  symlinkSync(real, join(folder, 'link'));
  writeFileSync(join(folder, 'file'), '');
  expect(() => ensurePrivateDirectory(join(folder, 'link'))).toThrow('is a symbolic link');
  expect(() => ensurePrivateDirectory(join(folder, 'file'))).toThrow('is not a directory');
  expect(() => ensurePrivateDirectory(join(folder, 'file', 'in'))).toThrow('is not a directory');
});

test.skipIf(process.getuid?.() !== 0)("another user's is refused (needs root)", () => {
  chownSync(folder, 12_345, 0);
  expect(() => ensurePrivateDirectory(folder)).toThrow('belongs to user 12345, and this is user 0');
});

test('a directory has one holder, whose name the next one is told; its end frees it', async () => {
  const lock = lockDirectory(folder, { program: 'meshnet node' });
  expect(() => lockDirectory(folder, { program: 'meshnet node' })).toThrow(
    new RegExp(`is in use by meshnet node, process ${process.pid}, since 20`),
  );
  lock.release();
  const script = join(folder, 'killed.ts');
  const source = `
    import { lockDirectory, lockFile } from ${JSON.stringify(join(import.meta.dirname, '../../src/ground/lock.ts'))};
    lockDirectory(${JSON.stringify(folder)}, { program: 'one that is killed' });
    process.kill(process.pid, 'SIGKILL');`;
  writeFileSync(script, source);
  expect(await runProgram(script, [])).toBe(1);
  lockDirectory(folder, { program: 'the next one' }).release();
});

test('one who waits for a lock does not hinder the one who is about to take it', async () => {
  const file = join(folder, 'file');
  lockFile(file, { program: 'an earlier one' }).release();
  // Halfway to the lock, as SQLite takes it: others may still read, but not take it.
  const first = new DatabaseSync(`${file}.lock`, { timeout: 5000 });
  first.exec('BEGIN IMMEDIATE');
  const script = join(folder, 'wait.ts');
  const module = join(import.meta.dirname, '../../src/ground/lock.ts');
  writeFileSync(
    script,
    `import { writeSync } from 'node:fs';
    import { lockFile } from ${JSON.stringify(module)};
    writeSync(1, 'waiting');
    lockFile(${JSON.stringify(file)}, { program: 'the next', waitMs: 15_000 }).release();`,
  );
  const next = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const end = once(next, 'exit');
  await once(next.stdout, 'data');
  await delay(300); // it tries
  first.exec('CREATE TABLE taken (by); COMMIT');
  first.close();
  expect(await end).toEqual([0, null]);
});
