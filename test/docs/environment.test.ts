import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './pages.ts';

/** The variables in the tables of docs/ENVIRONMENT.md, one list per heading. */
const [ofPrograms = [], ofTests = []] = readFileSync(join(ROOT, 'docs/ENVIRONMENT.md'), 'utf8')
  .split(/^## /m)
  .slice(1)
  .map((part) =>
    [...part.matchAll(/^\| (`[A-Z_`, ]+`) \|/gm)].flatMap((match) => match[1]!.match(/[A-Z_]+/g)!),
  );

/** How programs read a variable: from an environment, for an option, by a constant, in shells. */
const READS = [
  /\b(?:process\.env|environment)\.([A-Z_]+)/g,
  /\.env\('([A-Z_]+)'\)/g,
  /\$\{?((?:MESHNET|XDG|LONG|SOAK)_[A-Z_]+|NODE_COMPILE_CACHE|HOME|CACHE)\b/g,
];
const CONSTANTS = /'((?:MESH|MESHNET|MESHTUN|WG)_[A-Z_]+)'/g;

function readIn(patterns: readonly RegExp[], ...folders: string[]): string[] {
  const found = new Set<string>();
  for (const folder of folders) {
    for (const entry of readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const text = readFileSync(join(entry.parentPath, entry.name), 'utf8');
      for (const pattern of patterns) {
        for (const match of text.matchAll(pattern)) found.add(match[1]!);
      }
    }
  }
  return [...found].sort();
}

test('every environment variable that a program reads is in the table, and no other', () => {
  expect(ofPrograms.toSorted()).toEqual(readIn([...READS, CONSTANTS], 'src', 'bin'));
});

test('so is every one that only tests and benches read', () => {
  const others = readIn(READS, 'test', 'native-bench', '.ci');
  expect(ofTests.toSorted()).toEqual(others.filter((name) => !ofPrograms.includes(name)));
});
