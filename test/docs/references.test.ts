import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { pages, ROOT } from './pages.ts';

const textOf = (page: string) => readFileSync(join(ROOT, page), 'utf8');

function foldersOf(path: string): string[] {
  return readdirSync(join(ROOT, path), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
}

/** First words of the lines of a drawing that stand that far in. */
function named(drawing: string, indent: string): string[] {
  return [...drawing.matchAll(new RegExp(`^${indent}([a-z0-9-]+) {2,}`, 'gm'))].map(
    (match) => match[1]!,
  );
}

const drawings = [...textOf('docs/ARCHITECTURE.md').matchAll(/```\n(.*?)```/gs)].map(
  (match) => match[1]!,
);

test("the architecture's map names every room of the sources, and no other", () => {
  expect(named(drawings[0]!, '').sort()).toEqual(foldersOf('src').sort());
});

test('it names every folder of tests that mirrors no room', () => {
  const around = drawings.find((drawing) => drawing.startsWith('test '))!;
  const rooms = [...foldersOf('src'), 'native-bench'];
  const others = foldersOf('test').filter((name) => !rooms.includes(name));
  expect(named(around, ' {2}').sort()).toEqual(others.sort());
});

test('every file that a page speaks of is there', () => {
  const missing: string[] = [];
  for (const page of pages()) {
    for (const [, path] of textOf(page).matchAll(/`((?:[\w.-]+\/)+[\w.-]+\.(?:ts|sh|go|json))`/g)) {
      const places = [path!, `src/${path}`].map((name) => join(ROOT, name));
      if (!places.some((place) => existsSync(place))) missing.push(`${page}: ${path}`);
    }
  }
  expect(missing).toEqual([]);
});

test('every link from page to page leads somewhere', () => {
  const broken: string[] = [];
  for (const page of pages()) {
    for (const [, target] of textOf(page).matchAll(/\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (!existsSync(join(ROOT, dirname(page), target!))) broken.push(`${page}: ${target}`);
    }
  }
  expect(broken).toEqual([]);
});
