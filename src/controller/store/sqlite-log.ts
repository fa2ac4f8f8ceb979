import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { toBase64 } from '../../contract/encoding.ts';
import {
  type LeafEvent,
  leafBytes,
  type PolicyText,
  parseLeaf,
} from '../../contract/record/leaf.ts';
import { encodeBundle } from '../../contract/record/verdict-row.ts';
import { nodeProvider } from '../../crypto/node.ts';
import { LogTree } from '../../record/log-tree.ts';
import { consistencyProof, inclusionProof } from '../../record/merkle.ts';
import { encodeEntries, TILE_WIDTH, type Tile, tileWidth } from '../../record/tiles.ts';
import type { LeavesBehind, LogState, RecordedEpoch } from './log-store.ts';
import type { SqliteDatabase } from './sqlite-database.ts';
import type { NodeRecord } from './store.ts';

/** The log: leaves, and the hashes of its tiles. Only ever appended to. */
export class SqliteLog {
  private readonly database: SqliteDatabase;
  private readonly tree: LogTree;
  /** By node or hash of a policy, as far as the leaves before `placed`. */
  private readonly places = new Map<string, readonly number[]>();
  private placed = 0;
  /** What the rows of one epoch name: the last one whose evidence was asked for. */
  private named: { readonly epoch: number; readonly hashes: ReadonlySet<string> } | undefined;

  constructor(database: SqliteDatabase) {
    this.database = database;
    this.tree = new LogTree(nodeProvider, {
      read: (level, first, count) =>
        database
          .all(
            'SELECT hash FROM log_hashes WHERE level = ? AND id >= ? AND id < ? ORDER BY id',
            level,
            first,
            first + count,
          )
          .map((row) => row.hash as Uint8Array),
      add: (level, index, hash) => {
        database.run('INSERT INTO log_hashes VALUES (?, ?, ?)', level, index, hash);
      },
    });
  }

  /** Within the write of what the leaf is about. `at`: controller's clock, ms. */
  append(at: number, event: LeafEvent): void {
    const content = leafBytes(at, event);
    const index = this.size;
    this.database.run('INSERT INTO log_entries VALUES (?, ?)', index, content);
    this.tree.append(index, content);
  }

  /** Within a write. */
  recordStart(at: number, policy: PolicyText, hash: string): void {
    this.recordPolicy(at, policy, hash);
    this.append(at, { event: 'started', policy: hash });
  }

  /** Within a write. A policy is written down whenever it is not the one before. */
  recordPolicy(at: number, policy: PolicyText, hash: string): void {
    if (this.database.get('SELECT 1 FROM log_policy WHERE hash = ?', hash) === undefined) {
      this.database.run('INSERT OR REPLACE INTO log_policy VALUES (1, ?)', hash);
      this.append(at, { event: 'policy', hash, policy });
    }
  }

  /**
   * Within the write that commits the epoch. Where somebody is cut, or the brake holds others than before,
   * rows are kept for ever, and evidence of whoever is out or held.
   */
  recordEpoch(at: number, { event, policy, rows, brake }: RecordedEpoch): void {
    this.recordPolicy(at, policy, event.policy);
    this.append(at, event);
    if (brake) this.append(at, brake);
    const isKept = event.removed.count > 0 || brake !== undefined;
    this.database.run(
      'INSERT INTO log_bundles VALUES (?, ?, ?, ?)',
      event.epoch,
      at,
      zstdCompressSync(encodeBundle(rows)),
      isKept ? 1 : 0,
    );
    if (!isKept) return;
    for (const row of rows) {
      const text = textOf(row);
      if (!text.startsWith(DENIED) && !text.includes(HELD)) continue;
      for (const { node, hash, receivedAt } of evidenceIn(text)) {
        this.database.run(
          `INSERT OR IGNORE INTO log_evidence SELECT hash, evidence FROM score_history
             WHERE node_id = ? AND received_at = ? AND hash = ?`,
          node,
          receivedAt,
          hash,
        );
      }
    }
  }

  /** Within a write: of epochs in which nobody was cut, only the root of the rows stays. */
  prune(before: number, epochs: number): void {
    this.database.run(
      `DELETE FROM log_bundles WHERE epoch IN
         (SELECT epoch FROM log_bundles WHERE is_kept = 0 AND at < ? ORDER BY at LIMIT ?)`,
      before,
      epochs,
    );
  }

  /** Within a write: members saw leaves that are lost, so from here on the log has another name. */
  recordRestored(at: number, epoch: number, version: number): void {
    this.database.run('INSERT OR REPLACE INTO log_series VALUES (1, ?)', epoch);
    this.append(at, { event: 'restored', epoch, version });
  }

  inclusionProof(index: number, size: number): Uint8Array[] {
    return inclusionProof(nodeProvider, index, size, this.tree.hashesAt(size));
  }

  consistencyProof(oldSize: number, size: number): Uint8Array[] {
    return consistencyProof(nodeProvider, oldSize, size, this.tree.hashesAt(size));
  }

  leavesBehind(node: string, epoch: number): LeavesBehind | undefined {
    const found = this.epochLeaf(epoch);
    if (found === undefined) return undefined;
    const before = (text: string) => this.placesOf(text).findLast((index) => index < found.index);
    const policy = before(found.leaf.policy);
    const enrolment = before(node);
    if (policy === undefined || enrolment === undefined) return undefined;
    const at = (index: number) => ({ index, content: this.entries(index, 1)[0]! });
    return { epoch: at(found.index), policy: at(policy), enrolment: at(enrolment) };
  }

  evidenceNamedBy(row: Uint8Array): Uint8Array[] {
    return evidenceIn(textOf(row)).flatMap((named) => this.evidenceNamed(named) ?? []);
  }

  verdictRows(epoch: number): Uint8Array | undefined {
    const row = this.database.get('SELECT rows FROM log_bundles WHERE epoch = ?', epoch);
    return row && zstdDecompressSync(row.rows as Uint8Array);
  }

  newEvidence(epoch: number): Uint8Array | undefined {
    const rows = this.verdictRows(epoch);
    if (rows === undefined) return undefined;
    const last = this.database.get(
      'SELECT max(epoch) AS epoch FROM log_bundles WHERE epoch < ?',
      epoch,
    )?.epoch as number | null;
    const told = last === null ? new Set() : this.hashesNamedIn(last);
    const named = evidenceIn(textOf(rows));
    this.named = { epoch, hashes: new Set(named.map(({ hash }) => hash)) };
    const lines: Uint8Array[] = [];
    for (const one of named) {
      const line = told.has(one.hash) ? undefined : this.evidenceNamed(one);
      if (line !== undefined) lines.push(line);
    }
    return encodeBundle(lines);
  }

  /** Of an epoch whose rows are kept. Who reads the whole log asks for one epoch after the other. */
  private hashesNamedIn(epoch: number): ReadonlySet<string> {
    if (this.named?.epoch === epoch) return this.named.hashes;
    const rows = this.verdictRows(epoch)!;
    return new Set(evidenceIn(textOf(rows)).map(({ hash }) => hash));
  }

  get state(): LogState {
    const { size } = this;
    const series = this.database.get('SELECT epoch FROM log_series')?.epoch as number | undefined;
    return { series: series ?? 0, size, root: this.tree.root(size) };
  }

  /** Bytes of a tile or a bundle of entries, as wide as asked for; undefined: not that wide yet. */
  tile(tile: Tile): Uint8Array | undefined {
    const { level, index, width } = tile;
    if (width > tileWidth(level, index, this.size)) return undefined;
    if (level !== 'entries') return this.tree.tile({ level, index, width });
    return encodeEntries(this.entries(index * TILE_WIDTH, width));
  }

  /** At most `count` leaves from that index on. */
  entries(first: number, count: number): Uint8Array[] {
    return this.database
      .all('SELECT content FROM log_entries WHERE id >= ? ORDER BY id LIMIT ?', first, count)
      .map((row) => row.content as Uint8Array);
  }

  private evidenceNamed({ node, hash, receivedAt }: NamedEvidence): Uint8Array | undefined {
    const row =
      this.database.get(
        'SELECT evidence FROM score_history WHERE node_id = ? AND received_at = ? AND hash = ?',
        node,
        receivedAt,
        hash,
      ) ?? this.database.get('SELECT evidence FROM log_evidence WHERE hash = ?', hash);
    return row && Buffer.from(row.evidence as string);
  }

  /** Epochs only grow, so it is looked for by halves. */
  private epochLeaf(epoch: number) {
    let [from, to] = [0, this.size];
    while (from < to) {
      const middle = Math.floor((from + to) / 2);
      const row = this.database.get(
        `SELECT id, content FROM log_entries
           WHERE id >= ? AND id < ? AND instr(content, '"event":"epoch"') ORDER BY id LIMIT 1`,
        middle,
        to,
      );
      const leaf = row && parseLeaf(row.content as Uint8Array);
      const index = row?.id as number;
      if (leaf?.event !== 'epoch' || leaf.epoch > epoch) to = middle;
      else if (leaf.epoch < epoch) from = index + 1;
      else return { leaf, index };
    }
    return undefined;
  }

  /** Indexes of the policies of that hash, or the enrolments of that node: read once, and on from there. */
  private placesOf(name: string): readonly number[] {
    const { size, places } = this;
    const rows = this.database.all(
      `SELECT id, content FROM log_entries WHERE id >= ?
         AND (instr(content, '"event":"policy"') OR instr(content, '"event":"enrolled"')) ORDER BY id`,
      this.placed,
    );
    for (const { id, content } of rows) {
      const leaf = parseLeaf(content as Uint8Array);
      const of = leaf?.event === 'policy' ? leaf.hash : leaf?.event === 'enrolled' ? leaf.node : '';
      places.set(of, [...(places.get(of) ?? []), id as number]);
    }
    this.placed = size;
    return places.get(name) ?? [];
  }

  private get size(): number {
    return (
      ((this.database.get('SELECT max(id) AS last FROM log_entries')?.last ?? -1) as number) + 1
    );
  }
}

const EVIDENCE = /"hash":"([A-Za-z0-9+/]{43}=)","received_at":(\d+)/g;
const NODE = /"node":"([a-z0-9-]+)"/;
/** How the row of a node that is out begins, and what stands in that of one that the brake holds in. */
const DENIED = '{"allowed":false,';
const HELD = '"reason":"held_by_brake"';

interface NamedEvidence {
  readonly node: string;
  readonly hash: string;
  readonly receivedAt: number;
}

/** The evidence that rows name; read from their text, which is canonical, because there are many. */
function evidenceIn(rows: string): NamedEvidence[] {
  return rows.split('\n').flatMap((row) => {
    const node = NODE.exec(row)?.[1] ?? '';
    return [...row.matchAll(EVIDENCE)].map((match) => ({
      node,
      hash: match[1]!,
      receivedAt: Number(match[2]),
    }));
  });
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** What the log says of a node that was enrolled. */
export function enrolledEvent(node: NodeRecord): LeafEvent {
  const { nodeId, tunnelAddress, wireguard, signing, sealing } = node;
  const keys = {
    wireguard: toBase64(wireguard),
    signing: toBase64(signing),
    sealing: toBase64(sealing),
  };
  return { event: 'enrolled', node: nodeId, tunnel_address: tunnelAddress, keys };
}
