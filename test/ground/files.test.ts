import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { replaceFile, replaceFileSync } from '../../src/ground/files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ground-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
});

const KINDS = [
  ['waiting', async (path: string, text: string) => replaceFileSync(path, text)],
  ['without waiting', replaceFile],
] as const;

for (const [kind, replace] of KINDS) {
  test(`a file is replaced whole and stays private, ${kind}`, async () => {
    const path = join(folder, 'state.json');
    await replace(path, 'one');
    await replace(path, 'two');
    expect(readFileSync(path, 'utf8')).toBe('two');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['state.json']);
  });

  test(`a link that somebody planted is not followed, ${kind}`, async () => {
    const victim = join(folder, 'victim');
    writeFileSync(victim, 'precious');
    symlinkSync(victim, join(folder, 'state.json.new'));
    symlinkSync(victim, join(folder, 'state.json'));
    await replace(join(folder, 'state.json'), 'content');
    expect(readFileSync(victim, 'utf8')).toBe('precious');
    expect(readFileSync(join(folder, 'state.json'), 'utf8')).toBe('content');
  });

  test(`what an attempt left that was cut off is no obstacle, ${kind}`, async () => {
    writeFileSync(join(folder, 'state.json.new'), 'half');
    await replace(join(folder, 'state.json'), 'whole');
    expect(readdirSync(folder)).toEqual(['state.json']);
  });

  test.skipIf(process.getuid?.() !== 0)(
    `a disk that takes a part only leaves the old content, and says so, ${kind} (needs root)`,
    async () => {
      const disk = join(folder, 'disk');
      mkdirSync(disk);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]);
      onTestFinished(() => void execFileSync('umount', [disk]));
      const path = join(disk, 'state.json');
      const old = 'x'.repeat(20_000);
      await replace(path, old);
      writeFileSync(join(disk, 'ballast'), 'y'.repeat(36_000));
      await expect(replace(path, 'z'.repeat(20_000))).rejects.toThrow('ENOSPC');
      expect(readFileSync(path, 'utf8')).toBe(old);
      expect(readdirSync(disk).toSorted()).toEqual(['ballast', 'state.json']);
      rmSync(join(disk, 'ballast'));
      await replace(path, 'z'.repeat(20_000));
      expect(readFileSync(path, 'utf8')).toBe('z'.repeat(20_000));
    },
  );
}

test('replacements that do not wait keep their order', async () => {
  const path = join(folder, 'state.json');
  await Promise.all(Array.from({ length: 50 }, (_, i) => replaceFile(path, String(i))));
  expect(readFileSync(path, 'utf8')).toBe('49');
});
