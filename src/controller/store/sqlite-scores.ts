import type { Envelope } from '../../contract/envelope.ts';
import type { Score } from '../policy.ts';
import { RecentScores, type ScoreRow } from './recent-scores.ts';
import type { Row, SqliteDatabase } from './sqlite-database.ts';
import {
  type BenchmarkOutcome,
  type BenchmarkRecord,
  MAX_SEQUENCE_STEP,
  type ScorePage,
} from './store.ts';

/** Scores: the newest of each signer, and all that were accepted. */
export class SqliteScores {
  private readonly database: SqliteDatabase;
  private readonly recent = new RecentScores();

  constructor(database: SqliteDatabase) {
    this.database = database;
  }

  /** Within a write. `row`: what is to be followed once that is committed. */
  record(one: BenchmarkRecord): BenchmarkOutcome & { readonly row?: ScoreRow } {
    const { database } = this;
    if (!database.get('SELECT 1 FROM nodes WHERE node_id = ?', one.nodeId)) {
      return { ok: false, reason: 'unknown_node' };
    }
    const key = [one.nodeId, one.suite, one.signer] as const;
    const before = database.get(
      'SELECT sequence, observed_at FROM sequences WHERE node_id = ? AND suite = ? AND signer = ?',
      ...key,
    );
    const last = (before?.sequence as number | undefined) ?? 0;
    if (one.sequence <= last) return { ok: false, reason: 'sequence_replayed', last };
    if (one.sequence > last + MAX_SEQUENCE_STEP) {
      return { ok: false, reason: 'sequence_too_far', last };
    }
    if (one.observedAt < ((before?.observed_at as number | undefined) ?? 0)) {
      return { ok: false, reason: 'observed_decreasing', last };
    }
    database.run(
      'INSERT OR REPLACE INTO sequences VALUES (?, ?, ?, ?, ?)',
      ...key,
      one.sequence,
      one.observedAt,
    );
    const evidence = JSON.stringify(one.evidence);
    const measured = [one.score, one.samples, one.observedAt, one.receivedAt, evidence] as const;
    database.run(
      'INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
      ...key,
      ...measured,
      one.hash ?? null,
    );
    const id = database.insert(
      'INSERT INTO score_history VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
      ...key,
      one.sequence,
      ...measured,
      one.hash ?? null,
    );
    const { suite, signer, score, samples, observedAt, receivedAt, hash } = one;
    const columns = [suite, signer, score, samples, observedAt, receivedAt, hash ?? null] as const;
    return { ok: true, row: rowIn([id, one.nodeId, ...columns]) };
  }

  /** A score of this process is on the disk. */
  committed(row: ScoreRow): void {
    this.recent.follow(row);
  }

  newest(): Map<string, Score[]> {
    return byNode(this.database.all(`SELECT ${SCORE} FROM scores`), scoreOf);
  }

  newestOf(nodeId: string): Score[] {
    return this.database.all(`SELECT ${SCORE} FROM scores WHERE node_id = ?`, nodeId).map(scoreOf);
  }

  since(sinceMs: number): Map<string, Score[]> {
    const { recent, database } = this;
    const known = recent.knownTo(sinceMs);
    if (known === undefined) {
      const rows = database.arrays<HistoryColumns>(
        `SELECT id, past.node_id, suite, signer, score, samples, observed_at, received_at, hash
           FROM nodes CROSS JOIN score_history AS past
           ON past.node_id = nodes.node_id AND received_at >= ? ORDER BY id`,
        sinceMs,
      );
      recent.begin(sinceMs, rows.map(rowIn));
    } else {
      const rows = database.arrays<HistoryColumns>(
        `SELECT id, node_id, suite, signer, score, samples, observed_at, received_at, hash
           FROM score_history WHERE id > ? ORDER BY id`,
        known,
      );
      recent.catchUp(rows.map(rowIn));
    }
    const enrolled = database.arrays<[string, number]>('SELECT node_id, enrolled_at FROM nodes');
    return recent.since(sinceMs, new Map(enrolled));
  }

  page(before: number | null, limit: number): ScorePage {
    const rows = this.database.arrays<HistoryColumns>(
      `SELECT id, past.node_id, suite, signer, score, samples, observed_at, received_at, hash
         FROM score_history AS past CROSS JOIN nodes
         ON nodes.node_id = past.node_id AND received_at >= enrolled_at
         WHERE id < ? ORDER BY id DESC LIMIT ?`,
      before ?? Number.MAX_SAFE_INTEGER,
      limit,
    );
    const scores = rows.map(rowIn).map(({ nodeId, score }) => ({ ...score, nodeId }));
    return { scores, end: rows.length < limit ? null : rows.at(-1)![0] };
  }

  evidenceOf(nodeId: string, limit: number): BenchmarkRecord[] {
    return this.database
      .all(
        `SELECT ${SCORE}, sequence, evidence FROM score_history WHERE node_id = ?
           ORDER BY received_at DESC, id DESC LIMIT ?`,
        nodeId,
        limit,
      )
      .map((row) => ({
        ...scoreOf(row),
        nodeId,
        sequence: row.sequence as number,
        evidence: JSON.parse(row.evidence as string) as Envelope,
      }));
  }

  /** Within a write. */
  resetSequences(nodeId: string): void {
    this.database.run('UPDATE sequences SET sequence = 0 WHERE node_id = ?', nodeId);
  }
}

const SCORE = 'node_id, suite, signer, score, samples, observed_at, received_at, hash';

function scoreOf(row: Row): Score {
  return {
    suite: row.suite as string,
    signer: row.signer as string,
    score: row.score as number,
    samples: row.samples as number,
    observedAt: row.observed_at as number,
    receivedAt: row.received_at as number,
    ...(row.hash ? { hash: row.hash as string } : {}),
  };
}

type ScoreColumns = readonly [
  suite: string,
  signer: string,
  score: number,
  samples: number,
  observedAt: number,
  receivedAt: number,
  hash: string | null,
];

type HistoryColumns = readonly [id: number, nodeId: string, ...ScoreColumns];

function rowIn([id, nodeId, ...columns]: HistoryColumns): ScoreRow {
  return { id, nodeId, score: scoreIn(columns) };
}

function scoreIn(columns: ScoreColumns): Score {
  const [suite, signer, score, samples, observedAt, receivedAt, hash] = columns;
  const measured = { suite, signer, score, samples, observedAt, receivedAt };
  return hash === null ? measured : { ...measured, hash };
}

/** Rows in their order, by their `node_id`. */
export function byNode<T>(rows: readonly Row[], read: (row: Row) => T): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const row of rows) {
    const nodeId = row.node_id as string;
    const known = found.get(nodeId);
    if (known) known.push(read(row));
    else found.set(nodeId, [read(row)]);
  }
  return found;
}
