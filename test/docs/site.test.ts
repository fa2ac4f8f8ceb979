import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { NAVIGATION } from '../../deploy/site/navigation.ts';
import { siteOf } from '../../deploy/site/site.ts';
import { pages } from './pages.ts';

const ROOT = resolve(import.meta.dirname, '../..');

test('the pages are a site: all of them, no link leads nowhere, nothing comes from another host', () => {
  const { files, broken } = siteOf(ROOT);
  expect(broken).toEqual([]);
  const made = [...files.keys()].filter((path) => path.endsWith('.html'));
  const expected = pages().map((page) => page.replace(/^README\.md$/, 'index').replace('.md', ''));
  expect(made.map((path) => path.replace('.html', ''))).toEqual(expect.arrayContaining(expected));
  for (const path of made) {
    const html = String(files.get(path));
    expect(html, path).toContain("default-src 'none'");
    expect(html.match(/(?:src|srcset)="[a-z]*:?\/\/[^"]*"|<script/g), path).toBeNull();
  }
});

test('every page is in the navigation once', () => {
  const entries = NAVIGATION.flatMap(({ entries }) => entries.map(([, target]) => target));
  const whole = entries.filter((target) => !target.includes('#'));
  expect(whole.filter((target) => target !== 'examples/README.md').toSorted()).toEqual(
    pages().toSorted(),
  );
});

test.for([
  ['a page that is not there', '[x](docs/NOWHERE.md)', 'README.md: docs/NOWHERE.md'],
  ['a heading that is not there', '[x](#nowhere)', 'README.md: #nowhere'],
  ['a picture that is not there', '![x](nowhere.png)', 'README.md: nowhere.png'],
] as const)('a link to %s is found', ([, text, found]) => {
  const root = mkdtempSync(join(tmpdir(), 'site-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'docs'));
  writeFileSync(join(root, 'README.md'), `# A\n\n## Here, too\n\n[there](#here-too) ${text}\n`);
  const { broken } = siteOf(root);
  expect(broken).toContain(found);
  expect(broken).not.toContain('README.md: #here-too');
});
