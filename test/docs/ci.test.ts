import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CHECKS } from '../lab/requirements.ts';
import { ROOT } from './pages.ts';

const ci = readFileSync(join(ROOT, '.ci/run'), 'utf8');

test('CI installs every program that a test requires', () => {
  const installed = [...ci.matchAll(/\[([\w-]+)\]=/g)].map((match) => match[1]!);
  const required = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(ROOT, 'test', name), 'utf8'))
    .flatMap((text) => [...text.matchAll(/(?:requires\(|NEEDS[^=\n]*= \[)([^)\]]*)/g)])
    .flatMap(([, list]) => [...list!.matchAll(/'([^']+)'/g)].map((match) => match[1]!));
  const absent = required.filter((name) => !(name in CHECKS) && !installed.includes(name));
  expect([...new Set(absent)]).toEqual([]);
});

test('no project tries a failed test again', () => {
  const configuration = readFileSync(join(ROOT, 'vitest.config.ts'), 'utf8');
  expect(`${configuration}${ci}`).not.toMatch(/\bretry\b/);
});
