import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { PROBLEMS } from '../../src/contract/problems.ts';

const sources = resolve(import.meta.dirname, '../../src');

test('every code is raised somewhere', () => {
  const text = readdirSync(sources, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && name !== join('contract', 'problems.ts'))
    .map((name) => readFileSync(join(sources, name), 'utf8'))
    .join('\n');
  expect(Object.keys(PROBLEMS).filter((code) => !text.includes(`'${code}'`))).toEqual([]);
});
