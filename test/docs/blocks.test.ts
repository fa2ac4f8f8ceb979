import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { NEWCOMER_PAGES, newcomerPlan } from './newcomer.ts';
import { NOT_RUN } from './not-run.ts';
import { type Block, blocksOf, isCommand, pages, ROOT } from './pages.ts';

const blocks = pages().flatMap((page) => blocksOf(page));
const placesOf = (wrong: readonly Block[]) => wrong.map(({ place }) => place);

describe('the blocks of the pages', () => {
  test('have a language that a test knows what to do with', () => {
    const known = ['', 'sh', 'console', 'ts', 'json', 'ini', 'mermaid'];
    expect(placesOf(blocks.filter(({ language }) => !known.includes(language)))).toEqual([]);
  });

  test('say of every command where it runs, or that it does not', () => {
    const known = ['here', 'controller', 'node-a', 'node-b'];
    const newcomers = [...Object.keys(newcomerPlan('').addresses), 'every', 'nodes'];
    const wrong = blocks.filter(isCommand).filter(({ words, page }) => {
      const machines = NEWCOMER_PAGES.includes(page) ? newcomers : known;
      const on = (words.get('on') ?? '').split(',');
      return !words.has('not-run') && !on.every((machine) => machines.includes(machine));
    });
    expect(placesOf(wrong)).toEqual([]);
  });

  test('hide no command among what is only output', () => {
    const command = /^\s*(\$ |sudo |npm |bin\/|meshnet |meshtun |wg |ip |curl )/m;
    const hidden = blocks.filter(({ language, text }) => language === '' && command.test(text));
    expect(placesOf(hidden)).toEqual([]);
  });

  test('that are not run are those of which a reason is known', () => {
    const firstLines = blocks
      .filter(({ words }) => words.has('not-run'))
      .map(({ text }) => text.split('\n')[0]!.replace(/\s+#.*$/, ''));
    expect([...new Set(firstLines)].sort()).toEqual(Object.keys(NOT_RUN).sort());
  });

  test('in JSON are JSON', () => {
    for (const { language, text, place } of blocks) {
      if (language === 'json') expect(() => JSON.parse(text), place).not.toThrow();
    }
  });

  test.for(blocks.filter(({ language }) => language === 'ts'))(
    'in TypeScript run as they stand: $place',
    async ({ text }) => {
      const library = join(ROOT, 'src/tunnel/create-tunnel.ts');
      const directory = mkdtempSync(join(tmpdir(), 'docs-'));
      try {
        const file = join(directory, 'example.ts');
        writeFileSync(file, text.replace("'aligned-meshnet'", JSON.stringify(library)));
        const { stdout } = await promisify(execFile)(process.execPath, [file]);
        expect(stdout).not.toBe('');
      } finally {
        rmSync(directory, { recursive: true });
      }
    },
  );
});
