import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { Marked, type Tokens } from 'marked';
import { NAVIGATION } from './navigation.ts';

/** What the site consists of: paths below its root, with what is there. */
export interface Site {
  readonly files: ReadonlyMap<string, string | Uint8Array>;
  /** What leads nowhere: `docs/DEMO.md: GOVERNANCE.md#the-brake`. */
  readonly broken: readonly string[];
}

interface Page {
  readonly html: string;
  readonly title: string;
  readonly anchors: ReadonlySet<string>;
  /** Of links and pictures, as they stand there. */
  readonly targets: readonly string[];
}

const isElsewhere = (target: string) => /^[a-z]+:/.test(target);
const outputOf = (source: string) =>
  source === 'README.md' ? 'index.html' : source.replace(/\.md$/, '.html');

/** What stands behind `#` on GitHub for a heading, too: links work here and there. */
function anchorOf(heading: string, taken: Set<string>): string {
  const words = heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '');
  const plain = words.trim().replace(/\s/g, '-');
  let anchor = plain;
  for (let n = 1; taken.has(anchor); n++) anchor = `${plain}-${n}`;
  taken.add(anchor);
  return anchor;
}

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

/** The machine and the user whose commands these are, as the test of the pages is told of them. */
function whereOf(words: string): string {
  const { on = 'here', as } = Object.fromEntries(
    words.split(' ').map((word) => word.split('=') as [string, string]),
  );
  if (on === 'here') return '';
  const machine = on === 'nodes' ? 'every node' : on === 'every' ? 'every machine' : on;
  return ` data-on="${escaped(`${machine.replace(',', ', ')}${as ? `, as ${as}` : ''}`)}"`;
}

/** `source`: path of the page in the repository. */
function render(root: string, source: string): Page {
  const anchors = new Set<string>();
  const targets: string[] = [];
  let title = '';
  const here = dirname(outputOf(source));
  const hrefOf = (target: string) => {
    if (isElsewhere(target)) return target;
    targets.push(target);
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? source : join(dirname(source), path);
    const href = relative(here, file.endsWith('.md') ? outputOf(file) : file);
    return path === '' ? `#${anchor}` : `${href}${anchor === undefined ? '' : `#${anchor}`}`;
  };
  const marked = new Marked({
    walkTokens(token) {
      if (token.type === 'link' || token.type === 'image') token.href = hrefOf(token.href);
    },
    renderer: {
      code({ text, lang = '' }: Tokens.Code) {
        return `<pre tabindex="0"${whereOf(lang)}><code>${escaped(text)}\n</code></pre>\n`;
      },
      heading({ tokens, depth, text }: Tokens.Heading) {
        const inner = this.parser.parseInline(tokens);
        const plain = inner.replace(/<[^>]+>/g, '').replace(/&[a-z#0-9]+;/g, '');
        if (depth === 1) title ||= text.replaceAll('`', '');
        const anchor = anchorOf(plain, anchors);
        return `<h${depth} id="${anchor}"><a href="#${anchor}">${inner}</a></h${depth}>\n`;
      },
    },
  });
  const text = marked.parse(readFileSync(join(root, source), 'utf8'), { async: false });
  const html = text // what is wide scrolls for itself, by keys too, and not the page
    .replaceAll('<th></th>', '<td></td>')
    .replaceAll('<table>', '<div class="wide" tabindex="0"><table>')
    .replaceAll('</table>', '</table></div>');
  return { html, title, anchors, targets };
}

function navigation(source: string): string {
  const here = dirname(outputOf(source));
  const parts = NAVIGATION.map(({ title, entries }) => {
    const items = entries.map(([name, target]) => {
      const [page = '', anchor] = target.split('#');
      const href = relative(here, outputOf(page)) + (anchor === undefined ? '' : `#${anchor}`);
      const current = page === source && anchor === undefined ? ' aria-current="page"' : '';
      return `<li><a href="${href}"${current}>${name}</a></li>`;
    });
    return `<h2>${title}</h2><ul>${items.join('')}</ul>`;
  });
  return parts.join('');
}

function whole(source: string, { html, title }: Page): string {
  const style = relative(dirname(outputOf(source)), 'style.css');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="content-security-policy" content="default-src 'none'; style-src 'self'; img-src 'self'">
<title>${title}</title>
<link rel="stylesheet" href="${style}">
</head>
<body>
<nav aria-label="Pages"><details><summary>Aligned Meshnet: all pages</summary>${navigation(source)}</details></nav>
<main>
${html}</main>
</body>
</html>
`;
}

/** Makes the site of the pages that the navigation has, and of all that these lead to. */
export function siteOf(root: string): Site {
  const files = new Map<string, string | Uint8Array>();
  const rendered = new Map<string, Page>();
  const links: (readonly [from: string, target: string])[] = NAVIGATION.flatMap(({ entries }) =>
    entries.map(([, target]) => ['README.md', target] as const),
  );
  for (let at = 0; at < links.length; at++) {
    const [from, target] = links[at]!;
    const [path = ''] = target.split('#');
    const file = path === '' ? from : join(dirname(from), path);
    const exists = existsSync(join(root, file)) && statSync(join(root, file)).isFile();
    if (!exists || file.startsWith('..')) continue;
    if (!file.endsWith('.md')) files.set(file, readFileSync(join(root, file)));
    else if (!rendered.has(file)) {
      const page = render(root, file);
      rendered.set(file, page);
      files.set(outputOf(file), whole(file, page));
      links.push(...page.targets.map((one) => [file, one] as const));
    }
  }
  const broken = links.filter(([from, target]) => {
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? from : join(dirname(from), path);
    if (!file.endsWith('.md')) return !files.has(file);
    const page = rendered.get(file);
    return page === undefined || (anchor !== undefined && !page.anchors.has(anchor));
  });
  files.set('style.css', readFileSync(join(import.meta.dirname, 'style.css')));
  return { files, broken: broken.map(([from, target]) => `${from}: ${target}`) };
}
