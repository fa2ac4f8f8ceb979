import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The checkout. */
export const ROOT = resolve(import.meta.dirname, '../..');

/**
 * A fenced block of a page. What stands behind the language says how it is run:
 *
 *     sh on=MACHINE,...           run to its end there (test/docs/machines.ts); it must succeed
 *     sh on=nodes                 on every node; `every`: on every machine
 *     sh on=MACHINE until=TEXT    goes on in the background once its output holds TEXT
 *     sh on=MACHINE instead       ends first what goes on there in the background
 *     sh on=MACHINE fails         must fail
 *     sh on=MACHINE as=USER       is typed by that user, not by root
 *     sh not-run                  cannot run in a test: NOT_RUN (test/docs/not-run.ts) says why
 *     console on=...              a session: the lines behind `$ ` are the commands
 */
export interface Block {
  readonly page: string;
  /** `docs/DEMO.md:12`. */
  readonly place: string;
  /** The heading (`## `) that it stands under. */
  readonly section: string;
  /** '' where none is named: output, a drawing. */
  readonly language: string;
  readonly words: ReadonlyMap<string, string>;
  readonly text: string;
}

export const isCommand = ({ language }: Block) => language === 'sh' || language === 'console';

/** The commands of a block, without the output of a session. */
export function commandsOf({ language, text }: Block): string {
  if (language !== 'console') return text;
  const lines = text.split('\n').filter((line) => line.startsWith('$ '));
  return lines.map((line) => line.slice(2)).join('\n');
}

/** Paths, from the root, of the pages for users and for those who carry on. */
export function pages(): string[] {
  const atRoot = readdirSync(ROOT).filter((name) => name.endsWith('.md'));
  const documents = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'));
  return [...atRoot, ...documents.map((name) => `docs/${name}`)];
}

/** `root`: another checkout. */
export function blocksOf(page: string, root = ROOT): Block[] {
  const blocks: Block[] = [];
  const lines = readFileSync(join(root, page), 'utf8').split('\n');
  let section = '';
  for (let at = 0; at < lines.length; at++) {
    section = /^## (.*)/.exec(lines[at]!)?.[1] ?? section;
    const fence = /^(\s*)```(.*)$/.exec(lines[at]!);
    if (fence === null) continue;
    const [language = '', ...words] = fence[2]!.trim().split(/\s+/);
    const start = at + 1;
    while (at + 1 < lines.length && lines[at + 1]!.trim() !== '```') at++;
    const body = lines.slice(start, at + 1).map((line) => line.replace(fence[1]!, ''));
    at++;
    const pairs = words.map((word) => {
      const [name, ...value] = word.split('=');
      return [name!, value.join('=')] as const;
    });
    blocks.push({
      page,
      place: `${page}:${start}`,
      section,
      language,
      words: new Map(pairs),
      text: body.join('\n'),
    });
  }
  return blocks;
}
