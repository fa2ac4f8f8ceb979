import type { Envelope } from '../../contract/envelope.ts';
import type { Score } from '../policy.ts';
import type { Row, SqliteDatabase } from './sqlite-database.ts';
import { type BenchmarkOutcome, type BenchmarkRecord, MAX_SEQUENCE_STEP } from './store.ts';

/** Scores: the newest of each signer, and all that were accepted. */
export class SqliteScores {
  private readonly database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    this.database = database;
  }

  /** Within a write. */
  record(one: BenchmarkRecord): BenchmarkOutcome {
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
    database.run(
      'INSERT INTO score_history VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
      ...key,
      one.sequence,
      ...measured,
      one.hash ?? null,
    );
    return { ok: true };
  }

  newest(): Map<string, Score[]> {
    return byNode(this.database.all(`SELECT ${SCORE} FROM scores`), scoreOf);
  }

  newestOf(nodeId: string): Score[] {
    return this.database.all(`SELECT ${SCORE} FROM scores WHERE node_id = ?`, nodeId).map(scoreOf);
  }

  since(sinceMs: number): Map<string, Score[]> {
    const rows = this.database.arrays(
      `SELECT nodes.node_id, suite, signer, score, samples, observed_at, received_at, hash
         FROM nodes CROSS JOIN score_history AS past
         ON past.node_id = nodes.node_id AND received_at >= max(?, enrolled_at)
         ORDER BY nodes.node_id, received_at, id`,
      sinceMs,
    );
    const found = new Map<string, Score[]>();
    for (const [nodeId, ...columns] of rows as ScoreColumns[]) {
      const score = scoreIn(columns);
      const known = found.get(nodeId);
      if (known) known.push(score);
      else found.set(nodeId, [score]);
    }
    return found;
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

type ScoreColumns = [
  nodeId: string,
  suite: string,
  signer: string,
  score: number,
  samples: number,
  observedAt: number,
  receivedAt: number,
  hash: string | null,
];

function scoreIn(columns: ScoreColumns extends [string, ...infer Rest] ? Rest : never): Score {
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
