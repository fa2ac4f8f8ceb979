import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './pages.ts';

test('npm run help names every script', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const table = readFileSync(join(ROOT, 'CONTRIBUTING.md'), 'utf8');
  const named = [...table.matchAll(/^\| `npm (?:run )?([\w:]+)` \|/gm)].map((match) => match[1]!);
  const forPeople = Object.keys(scripts).filter((name) => name !== 'prepack');
  expect(named.sort()).toEqual(forPeople.sort());
});
