import { toBase64 } from '../../contract/encoding.ts';
import { compareNodeIds, signingKeyId } from '../../contract/ids.ts';
import type { SignedScore, SigningKey } from '../../contract/record/evidence.ts';
import type { BrakeEvent, EpochEvent, Leaf } from '../../contract/record/leaf.ts';
import {
  decodeLines,
  isRow,
  lineHash,
  parseVerdictRow,
  type VerdictRow,
} from '../../contract/record/verdict-row.ts';
import type { CryptoProvider } from '../../crypto/provider.ts';
import { MerkleTree } from '../../record/merkle.ts';
import { type Epoch, standingsOf } from '../epoch.ts';
import type { Score } from '../policy.ts';
import { type DecidedFrom, decideAgain, decideAlone, type VerdictAgain } from './decide-again.ts';
import { type EvidenceAbout, evidenceAbout } from './evidence-about.ts';
import { type JudgedBy, judgedBy, policyHash } from './policy-text.ts';

/** What is wrong with what a log says. */
export interface Finding {
  /** Index of the leaf. */
  readonly leaf: number;
  readonly epoch?: number;
  readonly node?: string;
  readonly what: string;
}

/** What was looked at so far. */
export interface Tally {
  epochs: number;
  /** Verdicts that were made again from their evidence, and came out the same. */
  confirmed: number;
  /** Of these: where the controller's word is part of it (it was away; a config was not fetched). */
  asserted: number;
  /** Epochs whose rows are not kept any more, and verdicts whose evidence is not. */
  withoutRows: number;
  /** Epochs of which rows are withheld from whoever reads: their tree was verified, their verdicts not. */
  withheld: number;
  withoutEvidence: number;
}

/** What an epoch is made of. */
export interface EpochFiles {
  /** Undefined: not kept any more. */
  readonly rows: Uint8Array | undefined;
  /** Those that its rows name first, as far as they are kept. */
  readonly scores: readonly SignedScore[];
}

/**
 * Goes through a log as the controller did, leaf by leaf, and makes every verdict again. Memory is
 * that of one epoch, however long the log is.
 */
export class Replay {
  readonly findings: Finding[] = [];
  readonly tally: Tally = {
    epochs: 0,
    confirmed: 0,
    asserted: 0,
    withoutRows: 0,
    withheld: 0,
    withoutEvidence: 0,
  };
  private readonly crypto: CryptoProvider;
  private readonly meshId: string;
  private readonly signingKeys = new Map<string, SigningKey>();
  private policy: { readonly hash: string; readonly judgedBy: JudgedBy } | undefined;
  private known = new Map<string, EvidenceAbout>();
  private last: Pick<EpochEvent, 'epoch' | 'version'> = { epoch: 0, version: 0 };
  private lastAt = 0;
  /** As it was made again; undefined where rows were not kept. */
  private previous: Epoch | undefined;
  /** Nodes of it of which evidence is missing, or could be told from their row alone: what it left of them is not known. */
  private unsure: ReadonlySet<string> = new Set();
  private members: ReadonlySet<string> | undefined = new Set();
  /** Whom the brake holds in by the rows of the last epoch, one after the other; undefined: not known. */
  private held: string | undefined = '';
  /** And by the leaves so far; undefined: too many to name. */
  private heldByLeaves: string | undefined = '';
  /** Those of the last epoch are not there. */
  private lacksRows = false;

  constructor(crypto: CryptoProvider, meshId: Uint8Array) {
    this.crypto = crypto;
    this.meshId = toBase64(meshId);
  }

  /** `files` is asked for leaves of epochs only. */
  async leaf(
    index: number,
    leaf: Leaf,
    files: (epoch: number) => Promise<EpochFiles>,
  ): Promise<void> {
    const fault = (what: string) => this.findings.push({ leaf: index, what });
    if (leaf.at < this.lastAt) fault('is older than the leaf before it');
    this.lastAt = leaf.at;
    switch (leaf.event) {
      case 'policy':
        if (policyHash(this.crypto, leaf.policy) !== leaf.hash)
          fault('has another hash than its policy');
        this.policy = { hash: leaf.hash, judgedBy: judgedBy(leaf.policy) };
        break;
      case 'started':
        if (leaf.policy !== this.policy?.hash)
          fault('starts under a policy that is not the last one');
        break;
      case 'enrolled':
        if (this.signingKeys.has(leaf.node)) fault(`enrols ${leaf.node} a second time`);
        this.signingKeys.set(leaf.node, this.keyOf(leaf.keys.signing));
        break;
      case 'removed':
        if (!this.signingKeys.delete(leaf.node))
          fault(`removes ${leaf.node}, which is not enrolled`);
        break;
      case 'restored':
        this.follows(index, leaf);
        break;
      case 'epoch':
        if (!this.isHeldTold) fault('comes before it is said whom the brake holds');
        this.follows(index, leaf);
        await this.epoch(index, leaf, await files(leaf.epoch));
        break;
      case 'brake':
        if (leaf.epoch !== this.last.epoch) fault('is not about the epoch before it');
        this.brake(leaf, fault);
        break;
      default: // what came of anything else is in the leaves that follow
        if ('node' in leaf && !this.signingKeys.has(leaf.node))
          fault(`is about ${leaf.node}, which is not enrolled`);
    }
  }

  private keyOf(key: string): SigningKey {
    return { id: signingKeyId(this.crypto, Uint8Array.fromBase64(key)), key };
  }

  private follows(index: number, { epoch, version }: Pick<EpochEvent, 'epoch' | 'version'>): void {
    if (epoch <= this.last.epoch || version <= this.last.version) {
      this.findings.push({ leaf: index, epoch, what: 'does not come after the epoch before it' });
    }
    this.last = { epoch, version };
  }

  /** As far as both are known, whom the brake holds by the rows is who it holds by the leaves. */
  private get isHeldTold(): boolean {
    const { held, heldByLeaves } = this;
    return held === undefined || heldByLeaves === undefined || held === heldByLeaves;
  }

  private brake({ held }: BrakeEvent, fault: (what: string) => void): void {
    this.heldByLeaves = held.nodes?.join();
    if (this.lacksRows) fault('is about rows, which are kept for ever, that are missing');
    if (this.held === undefined) return;
    const count = this.held === '' ? 0 : this.held.split(',').length;
    if (count !== held.count || (held.nodes !== null && this.held !== this.heldByLeaves))
      fault('names others as held than the rows of its epoch');
    this.heldByLeaves = this.held;
  }

  private async epoch(
    index: number,
    leaf: Leaf & EpochEvent,
    { rows: bundle, scores }: EpochFiles,
  ): Promise<void> {
    const { epoch } = leaf;
    const fault = (what: string, node?: string) =>
      this.findings.push({ leaf: index, epoch, ...(node === undefined ? {} : { node }), what });
    this.tally.epochs++;
    if (leaf.policy !== this.policy?.hash)
      return void fault('was judged by a policy that the log has not');
    this.lacksRows = bundle === undefined;
    if (bundle === undefined) {
      if (leaf.removed.count > 0)
        fault('cut somebody, and its rows, which are kept for ever, are missing');
      return this.withoutRows();
    }
    const rows = this.rowsOf(leaf, bundle);
    if (typeof rows === 'string') return void fault(rows);
    if (rows === undefined) return this.withheld();
    for (const what of countFaults(leaf, rows, this.members)) fault(what);
    this.members = new Set(rows.filter((row) => row.allowed).map((row) => row.node));
    const held = rows.filter((row) => row.reason === 'held_by_brake');
    this.held = held.map((row) => row.node).join();
    for (const { node } of rows) if (!this.signingKeys.has(node)) fault('is not enrolled', node);
    this.learn(scores, rows);
    this.judge(leaf, rows, this.policy.judgedBy, fault);
  }

  private withheld(): void {
    this.tally.withheld++;
    this.forget();
  }

  private withoutRows(): void {
    this.tally.withoutRows++;
    this.forget();
  }

  /** What only rows tell. */
  private forget(): void {
    this.previous = undefined;
    this.members = undefined;
    this.held = undefined;
  }

  /** The rows, or what is wrong with them; undefined: some are withheld. */
  private rowsOf(leaf: EpochEvent, bundle: Uint8Array): VerdictRow[] | string | undefined {
    const { crypto } = this;
    const lines = decodeLines(bundle);
    if (lines === undefined) return 'has rows that end in the middle of one';
    const { root } = new MerkleTree(
      crypto,
      lines.map((line) => lineHash(crypto, line)),
    );
    if (lines.length !== leaf.verdicts.count || toBase64(root) !== leaf.verdicts.root) {
      return 'has other rows than its leaf says';
    }
    if (!lines.every(isRow)) return undefined;
    const rows: VerdictRow[] = [];
    for (const line of lines) {
      const row = parseVerdictRow(line);
      if (row === undefined) return 'has a row that is malformed';
      if (rows.length > 0 && compareNodeIds(rows.at(-1)!.node, row.node) >= 0) {
        return 'has rows that are not in order';
      }
      rows.push(row);
    }
    return rows;
  }

  /** Takes in what is new, and forgets what these rows do not name. */
  private learn(scores: readonly SignedScore[], rows: readonly VerdictRow[]): void {
    const named = new Map<string, string>();
    const known = new Map<string, EvidenceAbout>();
    for (const { node, evidence } of rows) {
      for (const { hash } of evidence) {
        named.set(hash, node);
        const before = this.known.get(hash);
        if (before) known.set(hash, before);
      }
    }
    const evaluators = this.policy!.judgedBy.evaluators.map(toBase64);
    const keysOf = (node: string) => {
      const own = this.signingKeys.get(node);
      return own === undefined ? evaluators : [own.key, ...evaluators];
    };
    for (const one of evidenceAbout(scores, { meshId: this.meshId, named, keysOf })) {
      known.set(one.signed.hash, one);
    }
    this.known = known;
  }

  private judge(
    leaf: Leaf & EpochEvent,
    rows: readonly VerdictRow[],
    by: JudgedBy,
    fault: (what: string, node: string) => void,
  ): void {
    const { crypto, tally } = this;
    const evaluators = by.evaluators.map((key) => signingKeyId(crypto, key));
    const scores = new Map<string, Score[]>();
    const incomplete = new Set<string>();
    for (const { node, evidence } of rows) {
      const found = evidence.map((entry) => this.scoreOf(entry));
      if (found.includes('unknown')) incomplete.add(node);
      // Whoever has no scores at all is not among those that have some, as in the store.
      const usable = found.filter((one) => typeof one === 'object');
      if (found.length > 0) scores.set(node, usable);
    }
    const expected = this.previous && standingsOf(this.previous);
    const from: DecidedFrom = {
      scores,
      signersOf: (node) => {
        const own = [this.signingKeys.get(node)?.id ?? ''];
        return (rule) => (rule.signers === 'node' ? own : evaluators);
      },
      evaluators,
      previous: this.previous,
      epoch: leaf,
    };
    const next = decideAgain(by, rows, from);
    const unsure = new Set(incomplete);
    for (const [i, row] of rows.entries()) {
      let again = next.verdicts[i]!;
      if (incomplete.size > 0 && !incomplete.has(row.node) && !isAsIn(row, again)) {
        again = decideAlone(by, row, from); // of others there is too little to tell what all did together
        unsure.add(row.node);
      }
      const remembered = this.unsure.has(row.node) ? undefined : expected?.get(row.node);
      if (remembered !== undefined && !isSame(remembered, row.standing)) {
        fault('is judged from another past than the epochs before left it', row.node);
      } else if (incomplete.has(row.node)) {
        tally.withoutEvidence++;
      } else if (!isAsIn(row, again)) {
        const was = `${row.allowed ? 'a member' : 'denied'} (${row.reason})`;
        const is = `${again.allowed ? 'a member' : 'denied'} (${again.reason})`;
        fault(`was ${was}, but from the evidence it is ${is}`, row.node);
      } else if (!isSame(again.suites, row.suites)) {
        fault('has other numbers than its evidence', row.node);
      } else {
        tally.confirmed++;
        if (again.isAsserted) tally.asserted++;
      }
    }
    this.previous = next.epoch;
    this.unsure = unsure;
  }

  /** `unknown`: it is not kept. `ignored`: nobody whose word counts has signed it. */
  private scoreOf({
    hash,
    received_at,
  }: VerdictRow['evidence'][number]): Score | 'unknown' | 'ignored' {
    const known = this.known.get(hash);
    if (known === undefined) return 'unknown';
    if (known.signer === undefined) return 'ignored';
    const { suite, score, samples, observed_at } = known.signed.document;
    const times = { observedAt: observed_at, receivedAt: received_at };
    return { suite, signer: known.signer, score, samples, ...times };
  }
}

function isAsIn(row: VerdictRow, { allowed, reason, passed }: VerdictAgain): boolean {
  return allowed === row.allowed && reason === row.reason && passed === row.passed;
}

function countFaults(
  { members, denied, removed }: EpochEvent,
  rows: readonly VerdictRow[],
  before: ReadonlySet<string> | undefined,
): string[] {
  const faults: string[] = [];
  const allowed = rows.filter((row) => row.allowed).map((row) => row.node);
  if (allowed.length !== members || rows.length - members !== denied) {
    faults.push('counts other members than its rows');
  }
  if (before === undefined) return faults;
  const now = new Set(allowed);
  const gone = [...before].filter((node) => !now.has(node)).sort(compareNodeIds);
  const isNamed = removed.nodes === null || removed.nodes.join() === gone.join();
  if (gone.length !== removed.count || !isNamed)
    faults.push('names others as removed than its rows');
  return faults;
}

/** Whether two values are the same JSON, in whatever order their members are. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [one, other] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const names = Object.keys(one);
  if (names.length !== Object.keys(other).length) return false;
  for (const name of names) {
    if (!Object.hasOwn(other, name) || !isSame(one[name], other[name])) return false;
  }
  return true;
}
