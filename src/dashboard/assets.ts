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

const PAGE = join(import.meta.dirname, 'page');
const require = createRequire(import.meta.url);

/** Modules that the page imports by name, and where they lie in their packages. */
const LIBRARIES: Readonly<Record<string, readonly [package_: string, file: string]>> = {
  preact: ['preact', 'dist/preact.mjs'],
  'preact/hooks': ['preact', 'hooks/dist/hooks.mjs'],
  htm: ['htm', 'dist/htm.mjs'],
  uplot: ['uplot', 'dist/uPlot.esm.js'],
};

/**
 * All there is to the page, by path, read and compressed once: nothing else on the disk can be asked
 * for. TypeScript loses its types here, as Node itself drops those of the program; in the published
 * package the modules are JavaScript already.
 */
export function loadAssets(): { assets: ReadonlyMap<string, Asset>; importMapHash: string } {
  const assets = new Map<string, Asset>();
  for (const name of readdirSync(PAGE)) {
    const source = () => readFileSync(join(PAGE, name), 'utf8');
    if (name.endsWith('.d.ts') || name === 'tsconfig.json' || name === 'index.html') continue;
    if (name.endsWith('.ts')) {
      const text = stripTypeScriptTypes(source(), { mode: 'strip' });
      assets.set(`/${name}`, asset('js', text));
    } else if (/\.(?:js|css|svg)$/.test(name)) {
      assets.set(`/${name}`, asset(name.split('.').at(-1) as keyof typeof TYPES, source()));
    }
  }
  const imports: Record<string, string> = {};
  for (const [name, [package_, file]] of Object.entries(LIBRARIES)) {
    const path = `/lib/${name.replaceAll('/', '-')}.js`;
    imports[name] = path;
    assets.set(path, asset('js', readFileSync(join(packageFolder(package_), file), 'utf8')));
  }
  const plotStyle = readFileSync(join(packageFolder('uplot'), 'dist/uPlot.min.css'), 'utf8');
  assets.set('/lib/uplot.css', asset('css', plotStyle));
  const importMap = JSON.stringify({ imports });
  const main = assets.has('/main.ts') ? '/main.ts' : '/main.js';
  const html = readFileSync(join(PAGE, 'index.html'), 'utf8')
    .replace('<!--import-map-->', `<script type="importmap">${importMap}</script>`)
    .replace('/main.js', main);
  assets.set('/', asset('html', html));
  const hash = createHash('sha256').update(importMap).digest('base64');
  return { assets, importMapHash: `'sha256-${hash}'` };
}

function asset(kind: keyof typeof TYPES, text: string): Asset {
  const body = Buffer.from(text);
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return { type: TYPES[kind], body, gzipped: gzipSync(body, { level: 9 }), etag };
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
