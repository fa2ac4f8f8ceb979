import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { Output } from '../../src/ground/output.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'ground-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test('lines reach a file whole and in order', async () => {
  const path = join(folder(), 'log');
  const fd = openSync(path, 'a');
  onTestFinished(() => closeSync(fd));
  const output = new Output(fd);
  const lines = Array.from({ length: 1000 }, (_, i) => `line ${i}\n`);
  for (const line of lines) output.write(line);
  expect(await output.flush(5000)).toBe(true);
  expect(readFileSync(path, 'utf8')).toBe(lines.join(''));
});

/** A program that writes more than a pipe takes, and says on stderr how it fared; `atEnd` is done as it ends. */
const writerThat = (atEnd = '') => `
  import { Output } from ${JSON.stringify(join(import.meta.dirname, '../../src/ground/output.ts'))};
  import { endProcess } from ${JSON.stringify(join(import.meta.dirname, '../../src/ground/end.ts'))};
  const output = new Output(1, { capacity: 100_000 });
  let isFull = false;
  const timer = setInterval(() => {
    for (let i = 0; i < 100; i++) output.write('x'.repeat(99) + '\\n');
    if (output.dropped > 0 && !isFull) {
      isFull = true;
      process.stderr.write('full\\n');
    }
  }, 5);
  process.on('SIGUSR2', async () => {
    clearInterval(timer);
    await output.flush(60_000);
    output.write('after\\n');
  });
  process.on('SIGTERM', () => {
    process.stderr.write(String(output.dropped));
    void endProcess(7, [output]);
    ${atEnd}
  });
`;

function writer(program = writerThat()) {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

/** The lines of a stream; more of them are read only when they are asked for. */
const linesOf = (stream: Readable) => createInterface(stream)[Symbol.asyncIterator]();

test('a reader that has stopped holds nobody up, and the program still ends when it is told to', async () => {
  const child = writer();
  child.stdout.pause();
  const said = linesOf(child.stderr);
  expect((await said.next()).value).toBe('full'); // the pipe and the queue
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  expect(code).toBe(7);
  expect(Number((await said.next()).value)).toBeGreaterThan(0);
});

test('a program that stood still ends with its own code, though it just tried to write again', async () => {
  const standStill = 'const until = performance.now() + 700; while (performance.now() < until);';
  const child = writer(writerThat(standStill));
  child.stdout.pause();
  expect((await linesOf(child.stderr).next()).value).toBe('full');
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([7, null]);
});

test('when it reads again it is told how many lines it has missed', async () => {
  const child = writer();
  child.stdout.pause();
  expect((await linesOf(child.stderr).next()).value).toBe('full');
  child.kill('SIGUSR2');
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    lines.push(line);
    if (line === 'after') child.kill('SIGTERM');
  }
  expect(lines.at(-1)).toBe('after');
  const others = new Set(lines.slice(0, -1).filter((line) => line !== 'x'.repeat(99)));
  expect(others.size).toBeGreaterThan(0);
  for (const line of others) expect(line).toMatch(/^\d+ lines were dropped: nobody read them$/);
});

test('a reader that is gone is told once, and nothing is kept for it', async () => {
  const script = `
    import { Output } from ${JSON.stringify(join(import.meta.dirname, '../../src/ground/output.ts'))};
    let gone = 0;
    let written = 0;
    const output = new Output(1, { onGone: () => { gone++; } });
    const timer = setInterval(() => {
      output.write('line\\n');
      if (gone === 0 || ++written < 100) return;
      clearInterval(timer);
      process.stderr.write(String(gone));
    }, 2);
  `;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.destroy();
  expect(await text(child.stderr)).toBe('1');
});

test.skipIf(process.getuid?.() !== 0)(
  'a full disk costs lines and nothing else (needs root)',
  async () => {
    const disk = folder();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]);
    onTestFinished(() => void execFileSync('umount', [disk]));
    const fd = openSync(join(disk, 'log'), 'a');
    const output = new Output(fd);
    for (let i = 0; i < 200; i++) output.write(`${'x'.repeat(999)}\n`);
    expect(await output.flush(5000)).toBe(true);
    expect(output.dropped).toBeGreaterThan(0);
    closeSync(fd);
  },
);
