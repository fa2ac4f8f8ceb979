import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire, stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** A file of the page, ready to be sent. */
export interface Asset {
  readonly type: string;
  readonly body: Buffer;
  readonly gzipped: Buffer;
  readonly etag: string;
}

const TYPES = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
} as const;

const SOURCES = join(import.meta.dirname, '..');
const PAGE = 'dashboard/page';
/** What of ours the page uses as it is: to verify the record, and to read and show what it is sent. */
const SHARED = [
  'crypto/bytes',
  'contract/ids',
  'contract/printable',
  'record/*',
  'dashboard/columns',
];

const require = createRequire(import.meta.url);

/** Modules that the page imports by name, and where they lie in their packages. */
const LIBRARIES: Readonly<Record<string, readonly [package_: string, file: string]>> = {
  preact: ['preact', 'dist/preact.mjs'],
  'preact/hooks': ['preact', 'hooks/dist/hooks.mjs'],
  htm: ['htm', 'dist/htm.mjs'],
  uplot: ['uplot', 'dist/uPlot.esm.js'],
  '@noble/hashes/sha2.js': ['@noble/hashes', 'sha2.js'],
};
/** What these import in turn, from beside them. */
const BESIDE = ['_md.js', '_u64.js', 'utils.js'];

/**
 * All there is to the page, by path, read and compressed once: nothing else on the disk can be asked
 * for. TypeScript loses its types here, as Node itself drops those of the program; in the published
 * package the modules are JavaScript already.
 */
export function loadAssets(): { assets: ReadonlyMap<string, Asset>; importMapHash: string } {
  const assets = new Map<string, Asset>();
  for (const name of filesOf(PAGE)) {
    const kind = name.split('.').at(-1)!;
    if (kind === 'css' || kind === 'svg') assets.set(`/${name}`, asset(kind, sourceOf(name)));
  }
  for (const name of [...filesOf(PAGE), ...SHARED.flatMap(filesOf)]) {
    if (name.endsWith('.d.ts')) continue;
    if (name.endsWith('.ts')) {
      assets.set(`/${name}`, asset('js', stripTypeScriptTypes(sourceOf(name), { mode: 'strip' })));
    } else if (name.endsWith('.js')) {
      assets.set(`/${name}`, asset('js', sourceOf(name)));
    }
  }
  const imports: Record<string, string> = {};
  for (const [name, [package_, file]] of Object.entries(LIBRARIES)) {
    imports[name] = `/lib/${package_}/${file}`;
    assets.set(imports[name], asset('js', libraryFile(package_, file)));
  }
  for (const file of BESIDE) {
    assets.set(`/lib/@noble/hashes/${file}`, asset('js', libraryFile('@noble/hashes', file)));
  }
  assets.set('/lib/uplot.css', asset('css', libraryFile('uplot', 'dist/uPlot.min.css')));
  const importMap = JSON.stringify({ imports });
  const main = assets.has(`/${PAGE}/main.ts`) ? `/${PAGE}/main.ts` : `/${PAGE}/main.js`;
  const preloads = [...importedBy(main, assets, imports)].map(
    (path) => `<link rel="modulepreload" href="${path}">`,
  );
  const html = sourceOf(`${PAGE}/index.html`)
    .replace('<!--import-map-->', `<script type="importmap">${importMap}</script>`)
    .replace('<!--modules-->', preloads.join(''))
    .replace('/dashboard/page/main.js', main);
  assets.set('/', asset('html', html));
  const hash = createHash('sha256').update(importMap).digest('base64');
  return { assets, importMapHash: `'sha256-${hash}'` };
}

/** What a module needs before it runs, and all that needs: the browser need not find out step by step. */
function importedBy(
  path: string,
  assets: ReadonlyMap<string, Asset>,
  named: Readonly<Record<string, string>>,
  found = new Set<string>(),
): Set<string> {
  const text = assets.get(path)!.body.toString();
  for (const [, name] of text.matchAll(/\b(?:from|import)\s*["']([^"']+)["']/g)) {
    const imported = named[name!] ?? new URL(name!, `http://page${path}`).pathname;
    if (found.has(imported) || !assets.has(imported)) continue;
    found.add(imported);
    importedBy(imported, assets, named, found);
  }
  return found;
}

function asset(kind: keyof typeof TYPES, text: string): Asset {
  const body = Buffer.from(text);
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return { type: TYPES[kind], body, gzipped: gzipSync(body, { level: 9 }), etag };
}

function sourceOf(name: string): string {
  return readFileSync(join(SOURCES, name), 'utf8');
}

/** Files of a folder below the sources, or those whose name begins so. */
function filesOf(pattern: string): string[] {
  const isFile = !pattern.endsWith('/*') && pattern !== PAGE;
  const folder = isFile ? dirname(pattern) : pattern.replace(/\/\*$/, '');
  return readdirSync(join(SOURCES, folder))
    .map((name) => `${folder}/${name}`)
    .filter((name) => !isFile || name.startsWith(`${pattern}.`));
}

function libraryFile(package_: string, file: string): string {
  return readFileSync(join(packageFolder(package_), file), 'utf8');
}

/** A package's own folder: not every one exports its package.json. */
function packageFolder(name: string): string {
  let folder = dirname(require.resolve(name));
  while (!existsSync(join(folder, 'package.json')) || !isRootOf(folder, name)) {
    folder = dirname(folder);
  }
  return folder;
}

function isRootOf(folder: string, name: string): boolean {
  const text = readFileSync(join(folder, 'package.json'), 'utf8');
  return (JSON.parse(text) as { name?: string }).name === name;
}
