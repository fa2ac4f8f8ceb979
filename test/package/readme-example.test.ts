import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

test("the README's library example runs as it stands", async () => {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const example = /```ts\n(.*?)```/s.exec(readme)![1]!;
  const library = join(root, 'src/tunnel/create-tunnel.ts');
  const directory = await mkdtemp(join(tmpdir(), 'readme-'));
  try {
    const file = join(directory, 'example.ts');
    await writeFile(file, example.replace("'aligned-meshnet'", JSON.stringify(library)));
    const { stdout } = await promisify(execFile)(process.execPath, [file]);
    expect(stdout).toMatch(/^10\.0\.0\.1 answers in [0-9.]+ ms\n$/);
  } finally {
    await rm(directory, { recursive: true });
  }
});
