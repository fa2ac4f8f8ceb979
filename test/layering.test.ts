import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const src = resolve(import.meta.dirname, '../src');

/** What each folder of src may import besides itself. docs/ARCHITECTURE.md says why. */
const MAY_IMPORT: Record<string, string[]> = {
  wire: [],
  crypto: [],
  noise: ['wire', 'crypto'],
  session: ['noise', 'wire', 'crypto'],
  datapath: ['session', 'noise', 'wire', 'crypto'],
  device: ['session', 'noise', 'wire', 'crypto'],
  io: ['wire'],
  tunnel: ['device', 'datapath', 'session', 'noise', 'wire', 'crypto', 'io'],
  contract: ['wire', 'crypto'],
  controller: ['contract', 'wire', 'crypto'],
  agent: ['contract', 'wire', 'crypto', 'tunnel', 'io'],
  demo: ['controller', 'agent', 'contract', 'crypto', 'tunnel', 'io'],
};

const IMPORT =
  /^\s*(?:import|export)\s[^'"]*?from\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;

function sources(): string[] {
  return readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(src, name));
}

test('imports go in one direction only', () => {
  const violations: string[] = [];
  for (const file of sources()) {
    const folder = relative(src, file).split('/')[0]!;
    if (folder === 'cli') continue; // the top: may import everything
    const allowed = new Set([folder, ...(MAY_IMPORT[folder] ?? [])]);
    for (const match of readFileSync(file, 'utf8').matchAll(IMPORT)) {
      const target = match[1] ?? match[2] ?? match[3]!;
      if (!target.startsWith('.')) continue;
      const targetFolder = relative(src, resolve(dirname(file), target)).split('/')[0]!;
      if (!allowed.has(targetFolder)) violations.push(`${relative(src, file)} -> ${target}`);
    }
  }
  expect(violations).toEqual([]);
});
