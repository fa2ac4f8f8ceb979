import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseJson } from '../contract/encoding.ts';
import { printable, printableJson } from '../contract/printable.ts';
import { type ForkedLog, forkedLogsSchema } from '../contract/record/forked-logs.ts';
import { type Leaf, leafStatement } from '../contract/record/leaf.ts';
import { violation } from '../contract/schema.ts';
import { keysOfLog } from '../controller/record/log-keys.ts';
import { type EpochFiles, Replay } from '../controller/record/replay.ts';
import { constantTimeEqual } from '../crypto/bytes.ts';
import { defaultProvider } from '../crypto/select.ts';
import { type Checkpoint, openCheckpoint } from '../record/checkpoint.ts';
import { formatNote } from '../record/note.ts';
import { newTiles, tilePath } from '../record/tiles.ts';
import { print } from './answer.ts';
import { csvLine } from './csv.ts';
import { epochFiles } from './epoch-files.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import type { LogSourceOptions } from './log-source.ts';
import { type ReadLog, readLog, rowsOf } from './read-log.ts';
import { ScoreThreads } from './score-threads.ts';

export interface LogOptions extends LogSourceOptions {
  readonly json?: boolean;
}

export interface ShowOptions extends LogOptions {
  readonly node?: string;
  readonly event?: string;
  readonly since?: number;
  readonly all?: boolean;
  readonly follow?: boolean;
}

/** How often a log that is followed is looked at, ms. */
const FOLLOW_MS = 2000;

/** `meshnet log show [WHERE]`. */
export async function show(where: string | undefined, options: ShowOptions): Promise<void> {
  const log = await readLog(where, options);
  for (let shown = 0; ; await log.readOn()) {
    for (const leaf of log.leaves.slice(shown)) {
      if (!isWanted(leaf, options)) continue;
      if (options.json) {
        process.stdout.write(`${printableJson(JSON.stringify(leaf))}\n`);
      } else {
        const isCut = leaf.event === 'epoch' && leaf.removed.count > 0;
        const rows = isCut ? await rowsOf(log.read, leaf.epoch) : [];
        const at = new Date(leaf.at).toISOString();
        process.stdout.write(`${at} ${printable(`${leafStatement(leaf, rows)}.`)}\n`);
      }
    }
    shown = log.leaves.length;
    if (!options.follow) return;
    await delay(FOLLOW_MS);
  }
}

/** Epochs that cut nobody are shown only to who asks for all. */
function isWanted(leaf: Leaf, { node, event, since, all }: ShowOptions): boolean {
  if (event !== undefined && leaf.event !== event) return false;
  if (since !== undefined && leaf.at < since) return false;
  if (node !== undefined) {
    if (!nodesOf(leaf).includes(node)) return false;
  }
  const isQuiet = leaf.event === 'epoch' && leaf.removed.count === 0;
  return !isQuiet || all === true || event === 'epoch';
}

/** Of what can be asked for: the rest is about tokens, which may have a node's name. */
const ABOUT_NODES: ReadonlySet<string> = new Set(['remove', 'reset_sequences']);

/** Which nodes a leaf is about. */
function nodesOf(leaf: Leaf): readonly (string | null)[] {
  if (leaf.event === 'epoch') return leaf.removed.nodes ?? [];
  if (leaf.event === 'brake') return leaf.held.nodes ?? [];
  if (leaf.event === 'asked') return ABOUT_NODES.has(leaf.what) ? [leaf.about] : [];
  return 'node' in leaf ? [leaf.node] : [];
}

/** `meshnet log verify [WHERE]`: fails unless everything is as it must be. */
export async function verify(
  where: string | undefined,
  options: LogOptions & { readonly seen?: string },
): Promise<void> {
  const { log, replay } = await withProgress(options, (tell) => replayed(where, options, tell));
  const { findings, tally } = replay;
  const { origin, size } = log.checkpoint;
  const counted = [
    `${origin}: ${size} leaves, signed by the mesh, with the tiles and the root of their content`,
    `${tally.epochs} epochs; ${tally.confirmed} verdicts follow from their evidence and the policy then in force`,
    ...told(
      tally.asserted,
      'of them rest on what only the controller knows (it was away; no config was fetched)',
    ),
    ...told(tally.withoutRows, 'epochs have no rows any more: only their root is kept'),
    ...told(tally.withheld, 'epochs are shown without the rows of others: their tree is verified'),
    ...told(tally.withoutEvidence, 'verdicts have evidence that is not kept any more'),
    ...findings.map(({ leaf, epoch, node, what }) => {
      const who = [
        `leaf ${leaf}`,
        ...(epoch === undefined ? [] : [`epoch ${epoch}`]),
        ...(node === undefined ? [] : [node]),
      ];
      return `WRONG: ${who.join(', ')}: ${what}`;
    }),
  ];
  print(options, { origin, size, ...tally, findings }, counted.join('\n'));
  if (findings.length > 0) {
    throw new CommandError(
      EXIT.failed,
      'wrong_log',
      `the log is wrong in ${findings.length} places`,
    );
  }
}

async function replayed(
  where: string | undefined,
  options: LogOptions & { readonly seen?: string },
  tell: (what: string) => void,
) {
  const log = await readLog(where, options, tell);
  if (options.seen !== undefined) mustExtend(log, options.seen);
  const replay = new Replay(defaultProvider(), log.meshId);
  const epochs = log.leaves.filter((leaf) => leaf.event === 'epoch').length;
  const threads = new ScoreThreads(keysOfLog(log.leaves));
  const files = epochFiles(log.leaves, threads, (epoch) =>
    Promise.all([log.read(`verdicts/${epoch}`), log.read(`evidence/${epoch}`)]),
  );
  try {
    for (const [index, leaf] of log.leaves.entries()) {
      await replay.leaf(index, leaf, async () => (await files.next()).value as EpochFiles);
      if (leaf.event === 'epoch') tell(`verified ${replay.tally.epochs} of ${epochs} epochs`);
    }
  } finally {
    await threads.close();
  }
  return { log, replay };
}

function told(count: number, what: string): string[] {
  return count === 0 ? [] : [`${count} ${what}`];
}

/** Fails unless the log begins with all that was seen: a checkpoint, or `forked-logs.json` of a node. */
function mustExtend(log: ReadLog, file: string): void {
  const crypto = defaultProvider();
  const bytes = readFileSync(file);
  const forks = parseJson(bytes);
  const texts =
    violation(forkedLogsSchema, forks) === undefined
      ? (forks as ForkedLog[]).flatMap(({ held, other }) => [held, other])
      : [bytes.toString()];
  const wrong = (what: string) => new CommandError(EXIT.failed, 'wrong_log', `${file}: ${what}`);
  for (const text of texts) {
    const seen = openCheckpoint(crypto, log.key, text);
    if (seen === undefined) throw wrong('is no checkpoint of this log');
    mustBeginWith(log, seen, wrong);
  }
}

function mustBeginWith(
  { checkpoint, tree }: ReadLog,
  seen: Checkpoint,
  wrong: (what: string) => CommandError,
): void {
  if (seen.size > checkpoint.size)
    throw wrong(`was seen with ${seen.size} leaves: the log went back`);
  if (!constantTimeEqual(tree.root(seen.size), seen.root)) {
    throw wrong(`was seen with other leaves: there are two logs of ${checkpoint.origin}`);
  }
}

/** Says on a terminal how far `work` is, in a line that is gone when it ends, however that is. */
async function withProgress<Result>(
  { json }: LogOptions,
  work: (tell: (what: string) => void) => Promise<Result>,
): Promise<Result> {
  if (json || !process.stderr.isTTY) return work(() => {});
  const tell = (what: string) => void process.stderr.write(`\r\u001b[K${what}`);
  try {
    return await work(tell);
  } finally {
    tell('');
  }
}

export interface ExportOptions extends LogOptions {
  readonly directory?: string;
  readonly format: 'jsonl' | 'csv';
}

/** `meshnet log export [WHERE]`: leaves as lines, or the whole log as files for any web server. */
export async function exportLog(where: string | undefined, options: ExportOptions): Promise<void> {
  const log = await withProgress(options, (tell) => readLog(where, options, tell));
  if (options.directory !== undefined) return copy(log, options.directory);
  if (options.format === 'jsonl') {
    for (const leaf of log.leaves) process.stdout.write(`${printableJson(JSON.stringify(leaf))}\n`);
    return;
  }
  process.stdout.write(csvLine(COLUMNS));
  for (const leaf of log.leaves) {
    const fields = { at: new Date(leaf.at).toISOString(), event: leaf.event, ...fieldsOf(leaf) };
    process.stdout.write(csvLine(COLUMNS.map((name) => fields[name] ?? '')));
  }
}

const COLUMNS = [
  'at',
  'event',
  'epoch',
  'node',
  'members',
  'denied',
  'removed',
  'by',
  'what',
  'about',
  'held',
] as const;

/** `removed`, `held`: names with blanks between them, or how many if they are too many to name. */
function fieldsOf(leaf: Leaf): { readonly [name in (typeof COLUMNS)[number]]?: string | number } {
  switch (leaf.event) {
    case 'epoch': {
      const { epoch, members, denied, removed } = leaf;
      return { epoch, members, denied, removed: removed.nodes?.join(' ') ?? removed.count };
    }
    case 'asked':
      return { by: leaf.by ?? '', what: leaf.what, about: leaf.about ?? '' };
    case 'restored':
      return { epoch: leaf.epoch };
    case 'brake':
      return { epoch: leaf.epoch, held: leaf.held.nodes?.join(' ') ?? leaf.held.count };
    default:
      return 'node' in leaf ? { node: leaf.node } : {};
  }
}

/** The checkpoint comes last: what it names is there by then. */
async function copy({ read, checkpoint, leaves }: ReadLog, directory: string): Promise<void> {
  const epochs = leaves.filter((leaf) => leaf.event === 'epoch').map(({ epoch }) => epoch);
  const paths = [
    'key',
    ...newTiles(0, checkpoint.size).map(tilePath),
    ...epochs.flatMap((epoch) => [`verdicts/${epoch}`, `evidence/${epoch}`]),
  ];
  const write = (path: string, bytes: Uint8Array | string) => {
    const file = join(directory, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  };
  for (const path of paths) {
    const bytes = await read(path);
    if (bytes !== undefined) write(path, bytes);
  }
  write('checkpoint', formatNote(checkpoint.note));
}
