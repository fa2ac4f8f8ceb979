import type { CryptoProvider } from '../../crypto/provider.ts';
import { MerkleTree } from '../../record/merkle.ts';
import type { ReadFile } from '../../record/read-log.ts';
import { toBase64 } from '../encoding.ts';
import type { Envelope } from '../envelope.ts';
import { parseEvidence } from './evidence.ts';
import type { EpochEvent, Leaf } from './leaf.ts';
import { type Included, included, type ProofDocument, verdictProof } from './proof.ts';
import { decodeLines, lineHash, parseVerdictRow, type VerdictRow } from './verdict-row.ts';

/** A log of which proofs can be made, as of one checkpoint. */
export interface ProvableLog {
  /** 32 bytes. */
  readonly controllerKey: Uint8Array;
  /** Signed note. */
  readonly checkpoint: string;
  /** Leaves that it covers. */
  readonly size: number;
  readonly leaf: (index: number) => Promise<{ readonly content: Uint8Array; readonly leaf: Leaf }>;
  /** Hashes that lead from a leaf to the checkpoint's root. */
  readonly inclusionProof: (index: number) => Promise<readonly Uint8Array[]>;
  /** `verdicts/N` and `evidence/N`. */
  readonly read: ReadFile;
}

/** An epoch's leaf, and where it is. */
export interface FoundEpoch {
  readonly log: ProvableLog;
  readonly leaf: Leaf & EpochEvent;
  readonly index: number;
}

/** What was decided about one node in one epoch. */
export interface FoundVerdict extends FoundEpoch {
  /** All rows of the epoch, as they are in the tree. */
  readonly lines: readonly Uint8Array[];
  readonly place: number;
  readonly row: VerdictRow;
}

/** Why there is no proof. */
export class ProofFault extends Error {
  override readonly name = 'ProofFault';
  readonly code: 'unknown_epoch' | 'unknown_node' | 'not_kept' | 'wrong_log';

  constructor(code: ProofFault['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/** Evidence is looked for in so many epochs before: a score that nobody replaced is that old. */
const MOST_EPOCHS_BACK = 10_000;

/** Rejects with a `ProofFault`: there is no such epoch. */
export async function findEpoch(log: ProvableLog, epoch: number): Promise<FoundEpoch> {
  const isIt = (one: Leaf) => one.event === 'epoch' && one.epoch === epoch;
  const index = await lastBefore(log, log.size, isIt);
  const leaf = index < 0 ? undefined : (await log.leaf(index)).leaf;
  if (leaf?.event === 'epoch') return { log, leaf, index };
  throw new ProofFault('unknown_epoch', `the log has no epoch ${epoch}`);
}

/** Undefined: rows are not kept. Rejects with a `ProofFault`: no such node, or not what the leaf says. */
export async function findVerdict(
  crypto: CryptoProvider,
  found: FoundEpoch,
  node: string,
): Promise<FoundVerdict | undefined> {
  const { log, leaf } = found;
  const { epoch } = leaf;
  const bundle = await log.read(`verdicts/${epoch}`);
  const lines = bundle && decodeLines(bundle);
  const wrong = (what: string) => new ProofFault('wrong_log', `epoch ${epoch} ${what}`);
  if (lines === undefined) {
    if (leaf.removed.count === 0) return undefined;
    throw wrong('cut somebody, and its rows, which are kept for ever, are missing');
  }
  if (toBase64(treeOf(crypto, lines).root) !== leaf.verdicts.root) {
    throw wrong('has other rows than its leaf says');
  }
  const rows = lines.map(parseVerdictRow);
  const place = rows.findIndex((row) => row?.node === node);
  const row = rows[place];
  if (row !== undefined) return { ...found, lines, place, row };
  throw new ProofFault('unknown_node', `epoch ${epoch} says nothing about ${node}`);
}

/** One file for somebody who has nothing else, about what an epoch decided. Rejects with a `ProofFault`. */
export async function prove(
  crypto: CryptoProvider,
  log: ProvableLog,
  node: string,
  epoch: number,
): Promise<ProofDocument> {
  const found = await findVerdict(crypto, await findEpoch(log, epoch), node);
  if (found !== undefined) return documentOf(crypto, found);
  throw new ProofFault('not_kept', `the rows of epoch ${epoch} are not kept any more`);
}

async function documentOf(crypto: CryptoProvider, found: FoundVerdict): Promise<ProofDocument> {
  const { log, leaf, index, lines, place, row } = found;
  const shown = async (at: number): Promise<Included> =>
    included(at, (await log.leaf(at)).content, await log.inclusionProof(at));
  const before = async (isIt: (one: Leaf) => boolean): Promise<Included> => {
    const at = await lastBefore(log, index, isIt);
    if (at >= 0) return shown(at);
    throw new ProofFault('wrong_log', `epoch ${leaf.epoch} goes by what the log does not have`);
  };
  return verdictProof(crypto, lines, place, {
    controllerKey: log.controllerKey,
    checkpoint: log.checkpoint,
    epoch: await shown(index),
    policy: await before((one) => one.event === 'policy' && one.hash === leaf.policy),
    enrolment: await before((one) => one.event === 'enrolled' && one.node === row.node),
    evidence: await evidenceOf(crypto, found),
  });
}

function treeOf(crypto: CryptoProvider, lines: readonly Uint8Array[]): MerkleTree {
  return new MerkleTree(
    crypto,
    lines.map((line) => lineHash(crypto, line)),
  );
}

/** Index of the last leaf before `end` that is it; -1: there is none. */
async function lastBefore(
  log: ProvableLog,
  end: number,
  isIt: (one: Leaf) => boolean,
): Promise<number> {
  let at = end - 1;
  while (at >= 0 && !isIt((await log.leaf(at)).leaf)) at--;
  return at;
}

/** What the row names, from the epochs that had it first. */
async function evidenceOf(
  crypto: CryptoProvider,
  { log, index, row }: FoundVerdict,
): Promise<Envelope[]> {
  const missing = new Set(row.evidence.map(({ hash }) => hash));
  const found: Envelope[] = [];
  for (let at = index; at >= 0 && missing.size > 0 && index - at < MOST_EPOCHS_BACK; at--) {
    const { leaf } = await log.leaf(at);
    if (leaf.event !== 'epoch') continue;
    const lines = decodeLines((await log.read(`evidence/${leaf.epoch}`)) ?? new Uint8Array(0));
    for (const line of lines ?? []) {
      const one = parseEvidence(crypto, line);
      if (one !== undefined && missing.delete(one.hash)) found.push(one.read.envelope);
    }
  }
  if (missing.size === 0) return found;
  const message = `the evidence about ${row.node} in this epoch is not kept any more`;
  throw new ProofFault('not_kept', message);
}
