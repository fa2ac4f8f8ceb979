import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { siteOf } from './site.ts';

/** Writes the pages as a site into site/: files that any web server, or none, can show. */

const ROOT = resolve(import.meta.dirname, '../..');
const { files, broken } = siteOf(ROOT);
if (broken.length > 0) {
  console.error(`leads nowhere:\n${broken.join('\n')}`);
  process.exit(1);
}
const folder = join(ROOT, 'site');
rmSync(folder, { recursive: true, force: true });
for (const [path, content] of files) {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), content);
}
console.log(`site/index.html and ${files.size - 1} more`);
