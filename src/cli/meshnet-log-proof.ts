import { writeFileSync } from 'node:fs';
import { parseJson } from '../contract/encoding.ts';
import type { EpochEvent, Leaf } from '../contract/record/leaf.ts';
import { openProof, type ProofDocument } from '../contract/record/proof.ts';
import {
  type FoundEpoch,
  findEpoch,
  findVerdict,
  ProofFault,
  type ProvableLog,
  prove as proofOf,
} from '../contract/record/prove.ts';
import { numbersOf, type VerdictRow } from '../contract/record/verdict-row.ts';
import { defaultProvider } from '../crypto/select.ts';
import { inclusionProof } from '../record/merkle.ts';
import { formatNote } from '../record/note.ts';
import { print } from './answer.ts';
import { CommandError, EXIT } from './exit-codes.ts';
import { type LogSourceOptions, logSource } from './log-source.ts';
import { type ReadLog, readLog } from './read-log.ts';

/** `meshnet log prove NODE EPOCH [WHERE]`: one file for somebody who has nothing else. */
export async function prove(
  node: string,
  epoch: number,
  where: string | undefined,
  options: LogSourceOptions & { readonly out?: string },
): Promise<void> {
  const document =
    (await ownProof(node, epoch, where, options)) ?? (await madeProof(node, epoch, where, options));
  const text = `${JSON.stringify(document)}\n`;
  if (options.out === undefined) process.stdout.write(text);
  else writeFileSync(options.out, text);
}

async function madeProof(
  node: string,
  epoch: number,
  where: string | undefined,
  options: LogSourceOptions,
): Promise<ProofDocument> {
  const log = provable(await readLog(where, options));
  return explained(() => proofOf(defaultProvider(), log, node, epoch));
}

/**
 * What the controller shows the node of this machine of itself, be it a member or denied. Undefined: it is
 * another node, or nobody asks as one.
 */
async function ownProof(
  node: string,
  epoch: number,
  where: string | undefined,
  options: LogSourceOptions,
): Promise<ProofDocument | undefined> {
  const { read, meshId, asNode } = await logSource(where, options);
  if (asNode !== node) return undefined;
  const bytes = await read(`proof/${epoch}`);
  if (bytes === undefined) {
    const message = `the controller has no proof of ${node} in epoch ${epoch} (any more)`;
    throw new CommandError(EXIT.refused, 'not_kept', message);
  }
  const document = parseJson(bytes);
  const opened = openProof(defaultProvider(), meshId, document);
  if (typeof opened === 'string') throw new CommandError(EXIT.failed, 'wrong_log', opened);
  return document as ProofDocument;
}

function provable({ key, checkpoint, entries, leaves, tree, read }: ReadLog): ProvableLog {
  const { size } = checkpoint;
  const hashes = tree.hashesAt(size);
  return {
    controllerKey: key.publicKey,
    checkpoint: formatNote(checkpoint.note),
    size,
    leaf: async (index) => ({ content: entries[index]!, leaf: leaves[index]! }),
    inclusionProof: async (index) => inclusionProof(defaultProvider(), index, size, hashes),
    read,
  };
}

/** Rejects with a `CommandError` where there is no proof. */
async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ProofFault)) throw error;
    const status = error.code === 'wrong_log' ? EXIT.failed : EXIT.refused;
    throw new CommandError(status, error.code, error.message);
  }
}

/** `meshnet why NODE --epoch N`, of any epoch: what is kept of it. */
export async function whyThen(
  node: string,
  epoch: number,
  options: LogSourceOptions & { readonly json?: boolean },
): Promise<void> {
  const log = await readLog(undefined, options);
  await explained(async () => {
    const place = await findEpoch(provable(log), epoch);
    const found = await findVerdict(defaultProvider(), place, node);
    if (found === undefined) return whyPruned(log, place, node, options);
    const { leaf, row } = found;
    print(options, { epoch, at: leaf.at, ...row }, sentenceOf(leaf, row));
  });
}

function sentenceOf({ epoch, at }: Leaf & EpochEvent, row: VerdictRow): string {
  const was = row.allowed ? 'was a member' : 'was denied';
  const since = new Date(at).toISOString();
  return `${row.node} ${was} in epoch ${epoch}, from ${since} on: ${numbersOf(row)}`;
}

/** Of an epoch that cut nobody only the root is kept for ever; of those that did, all is. */
async function whyPruned(
  { leaves }: ReadLog,
  { log, leaf, index }: FoundEpoch,
  node: string,
  options: { readonly json?: boolean },
): Promise<void> {
  const { epoch, at, members, denied, verdicts } = leaf;
  const last = leaves.findLastIndex(
    (one, i) => i < index && one.event === 'epoch' && (one.removed.nodes ?? []).includes(node),
  );
  const place = { log, leaf: leaves[last] as Leaf & EpochEvent, index: last };
  const cut = last < 0 ? undefined : await findVerdict(defaultProvider(), place, node);
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
