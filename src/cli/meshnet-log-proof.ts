import { writeFileSync } from 'node:fs';
import { toBase64 } from '../contract/encoding.ts';
import type { Envelope } from '../contract/envelope.ts';
import { parseEvidence } from '../contract/record/evidence.ts';
import type { EpochEvent, Leaf } from '../contract/record/leaf.ts';
import type { Included, ProofDocument } from '../contract/record/proof.ts';
import {
  decodeLines,
  lineHash,
  numbersOf,
  parseVerdictRow,
  type VerdictRow,
} from '../contract/record/verdict-row.ts';
import { defaultProvider } from '../crypto/select.ts';
import { inclusionProof, MerkleTree } from '../record/merkle.ts';
import { formatNote } from '../record/note.ts';
import { print } from './answer.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import type { LogSourceOptions } from './log-source.ts';
import { type ReadLog, readLog } from './read-log.ts';

/** Evidence is looked for in so many epochs before: a score that nobody replaced is that old. */
const MOST_EPOCHS_BACK = 10_000;

interface EpochLeaf {
  readonly leaf: Leaf & EpochEvent;
  readonly index: number;
}

interface Found extends EpochLeaf {
  /** All rows of the epoch, as they are in the tree. */
  readonly lines: readonly Uint8Array[];
  readonly place: number;
  readonly row: VerdictRow;
}

/** Throws a `CommandError`: there is no such epoch. */
function epochIn({ leaves }: ReadLog, epoch: number): EpochLeaf {
  const index = leaves.findLastIndex((one) => one.event === 'epoch' && one.epoch === epoch);
  const leaf = leaves[index];
  if (leaf?.event === 'epoch') return { leaf, index };
  throw new CommandError(EXIT.refused, 'unknown_epoch', `the log has no epoch ${epoch}`);
}

/** Undefined: rows are not kept. Rejects with a `CommandError`: no such node, or not what the leaf says. */
async function verdictIn(
  { read }: ReadLog,
  { leaf, index }: EpochLeaf,
  node: string,
): Promise<Found | undefined> {
  const crypto = defaultProvider();
  const { epoch } = leaf;
  const wrong = (what: string) =>
    new CommandError(EXIT.failed, 'wrong_log', `epoch ${epoch} ${what}`);
  const bundle = await read(`verdicts/${epoch}`);
  const lines = bundle && decodeLines(bundle);
  if (lines === undefined) {
    if (leaf.removed.count === 0) return undefined;
    throw wrong('cut somebody, and its rows, which are kept for ever, are missing');
  }
  const { root } = new MerkleTree(
    crypto,
    lines.map((line) => lineHash(crypto, line)),
  );
  if (toBase64(root) !== leaf.verdicts.root) throw wrong('has other rows than its leaf says');
  const rows = lines.map(parseVerdictRow);
  const place = rows.findIndex((row) => row?.node === node);
  const row = rows[place];
  if (row === undefined) {
    throw new CommandError(
      EXIT.refused,
      'unknown_node',
      `epoch ${epoch} says nothing about ${node}`,
    );
  }
  return { leaf, index, lines, place, row };
}

/** `meshnet log prove NODE EPOCH [WHERE]`: one file for somebody who has nothing else. */
export async function prove(
  node: string,
  epoch: number,
  where: string | undefined,
  options: LogSourceOptions & { readonly out?: string },
): Promise<void> {
  const crypto = defaultProvider();
  const log = await readLog(where, options);
  const found = await verdictIn(log, epochIn(log, epoch), node);
  if (found === undefined) {
    const message = `the rows of epoch ${epoch} are not kept any more`;
    throw new CommandError(EXIT.refused, 'not_kept', message);
  }
  const { leaf, index, lines, place, row } = found;
  const { checkpoint, entries, tree, leaves } = log;
  const included = (at: number): Included => ({
    index: at,
    content: toBase64(entries[at]!),
    proof: inclusionProof(crypto, at, checkpoint.size, tree.hashesAt(checkpoint.size)).map(
      toBase64,
    ),
  });
  const before = (isIt: (one: Leaf) => boolean): number =>
    leaves.findLastIndex((one, at) => at < index && isIt(one));
  const rows = new MerkleTree(
    crypto,
    lines.map((line) => lineHash(crypto, line)),
  );
  const document: ProofDocument = {
    format: 'aligned-meshnet-verdict-proof-v1',
    controller_key: toBase64(log.key.publicKey),
    checkpoint: formatNote(checkpoint.note),
    epoch: included(index),
    policy: included(before((one) => one.event === 'policy' && one.hash === leaf.policy)),
    enrolment: included(before((one) => one.event === 'enrolled' && one.node === node)),
    row: {
      index: place,
      content: toBase64(lines[place]!),
      proof: rows.inclusionProof(place).map(toBase64),
    },
    evidence: await evidenceOf(log, index, row),
  };
  const text = `${JSON.stringify(document)}\n`;
  if (options.out === undefined) process.stdout.write(text);
  else writeFileSync(options.out, text);
}

/** What the row names, from the epochs that had it first. */
async function evidenceOf(log: ReadLog, index: number, row: VerdictRow): Promise<Envelope[]> {
  const crypto = defaultProvider();
  const missing = new Set(row.evidence.map(({ hash }) => hash));
  const found: Envelope[] = [];
  for (let at = index; at >= 0 && missing.size > 0 && index - at < MOST_EPOCHS_BACK; at--) {
    const leaf = log.leaves[at]!;
    if (leaf.event !== 'epoch') continue;
    const lines = decodeLines((await log.read(`evidence/${leaf.epoch}`)) ?? new Uint8Array(0));
    for (const line of lines ?? []) {
      const one = parseEvidence(crypto, line);
      if (one !== undefined && missing.delete(one.hash)) found.push(one.read.envelope);
    }
  }
  if (missing.size === 0) return found;
  const message = `the evidence about ${row.node} in this epoch is not kept any more`;
  throw new CommandError(EXIT.refused, 'not_kept', message);
}

/** `meshnet why NODE --epoch N`, of any epoch: what is kept of it. */
export async function whyThen(
  node: string,
  epoch: number,
  options: LogSourceOptions & { readonly json?: boolean },
): Promise<void> {
  const log = await readLog(undefined, options);
  const place = epochIn(log, epoch);
  const found = await verdictIn(log, place, node);
  if (found === undefined) return whyPruned(log, place, node, options);
  const { leaf, row } = found;
  print(options, { epoch, at: leaf.at, ...row }, sentenceOf(leaf, row));
}

function sentenceOf({ epoch, at }: Leaf & EpochEvent, row: VerdictRow): string {
  const was = row.allowed ? 'was a member' : 'was denied';
  const since = new Date(at).toISOString();
  return `${row.node} ${was} in epoch ${epoch}, from ${since} on: ${numbersOf(row)}`;
}

/** Of an epoch that cut nobody only the root is kept for ever; of those that did, all is. */
async function whyPruned(
  log: ReadLog,
  { leaf, index }: EpochLeaf,
  node: string,
  options: { readonly json?: boolean },
): Promise<void> {
  const { epoch, at, members, denied, verdicts } = leaf;
  const last = log.leaves.findLastIndex(
    (one, i) => i < index && one.event === 'epoch' && (one.removed.nodes ?? []).includes(node),
  );
  const cut = last < 0 ? undefined : await verdictIn(log, cutAt(log, last), node);
  const row = cut === undefined ? null : { epoch: cut.leaf.epoch, at: cut.leaf.at, ...cut.row };
  const lines = [
    `The rows of epoch ${epoch} are pruned, so what it said of ${node} is not kept any more.`,
    `Kept of it: its leaf, of ${new Date(at).toISOString()}, with ${members} members, ${denied} denied and nobody cut, and the root of its ${verdicts.count} rows, ${verdicts.root}.`,
    cut === undefined
      ? `Before it the log names no epoch that cut ${node}.`
      : `The last time before it that ${node} was cut is kept: ${sentenceOf(cut.leaf, cut.row)}`,
  ];
  const kept = { epoch, at, node, pruned: true, members, denied, verdicts, last_cut: row };
  print(options, kept, lines.join('\n'));
}

function cutAt({ leaves }: ReadLog, index: number): EpochLeaf {
  return { leaf: leaves[index] as Leaf & EpochEvent, index };
}
