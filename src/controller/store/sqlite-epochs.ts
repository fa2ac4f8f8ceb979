import type { Decision, Epoch, EpochVersion, NodeVerdict } from '../epoch.ts';
import type { Verdict } from '../policy.ts';
import type { Row, SqliteDatabase } from './sqlite-database.ts';
import { byNode } from './sqlite-scores.ts';
import type { VerdictInputs, VerdictRecord } from './store.ts';

/** The epoch in force, and what earlier ones decided. */
export class SqliteEpochs {
  private readonly database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    this.database = database;
  }

  current(): Epoch | undefined {
    const row = this.database.get('SELECT * FROM epoch');
    return row && epochOf(row);
  }

  /** Within a write. False, and nothing is written: `expected` is not the current one. */
  replace(
    expected: EpochVersion | undefined,
    next: Epoch,
    verdicts: ReadonlyMap<string, NodeVerdict> | undefined,
  ): boolean {
    const current = this.database.get('SELECT epoch, version FROM epoch');
    if (current?.epoch !== expected?.epoch || current?.version !== expected?.version) return false;
    if (expected && (next.epoch <= expected.epoch || next.version <= expected.version)) {
      throw new RangeError('an epoch must be greater than the one before');
    }
    this.database.run(
      `INSERT INTO epoch VALUES (1, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
         epoch = excluded.epoch, version = excluded.version, started_at = excluded.started_at,
         secret = excluded.secret, decisions = excluded.decisions, removed = excluded.removed`,
      next.epoch,
      next.version,
      next.startedAt,
      next.secret ?? null,
      JSON.stringify(next.decisions),
      JSON.stringify(next.removed),
    );
    this.remember(next, verdicts);
    return true;
  }

  verdictsOf(nodeId: string, limit: number): VerdictRecord[] {
    return this.database
      .all(
        // Epoch by epoch backwards, each a look-up, until there are enough.
        `SELECT ${VERDICT} FROM epoch_history CROSS JOIN verdict_history USING (epoch)
           WHERE node_id = ? ORDER BY epoch DESC LIMIT ?`,
        nodeId,
        limit,
      )
      .map(verdictOf);
  }

  recent(epochs: number): Map<string, VerdictRecord[]> {
    const rows = this.database.all(
      `SELECT ${VERDICT} FROM (SELECT * FROM epoch_history ORDER BY epoch DESC LIMIT ?)
         CROSS JOIN verdict_history USING (epoch) CROSS JOIN nodes USING (node_id)
         WHERE enrolled_at <= started_at ORDER BY epoch`,
      epochs,
    );
    return byNode(rows, verdictOf);
  }

  private remember(epoch: Epoch, verdicts: ReadonlyMap<string, NodeVerdict> | undefined): void {
    this.database.run(
      'INSERT INTO epoch_history VALUES (?, ?, ?)',
      epoch.epoch,
      epoch.version,
      epoch.startedAt,
    );
    for (const one of epoch.decisions) {
      this.database.run(
        'INSERT INTO verdict_history VALUES (?, ?, ?, ?, ?, ?, ?)',
        epoch.epoch,
        one.nodeId,
        one.allowed ? 1 : 0,
        one.reason,
        one.explanation,
        one.sinceEpoch,
        inputsOf(verdicts?.get(one.nodeId)?.verdict),
      );
    }
  }
}

const VERDICT =
  'epoch, version, started_at, node_id, allowed, reason, explanation, since_epoch, inputs';

function inputsOf(verdict: Verdict | undefined): string | null {
  if (verdict === undefined) return null;
  const { allowed: passed, score, ageS, suites } = verdict;
  return JSON.stringify({ passed, score, ageS, suites } satisfies VerdictInputs);
}

function epochOf(row: Row): Epoch {
  return {
    epoch: row.epoch as number,
    version: row.version as number,
    startedAt: row.started_at as number,
    decisions: JSON.parse(row.decisions as string) as Decision[],
    removed: JSON.parse(row.removed as string) as string[],
    secret: (row.secret as Uint8Array | null) ?? undefined,
  };
}

function verdictOf(row: Row): VerdictRecord {
  const inputs = row.inputs as string | null;
  return {
    epoch: row.epoch as number,
    version: row.version as number,
    startedAt: row.started_at as number,
    nodeId: row.node_id as string,
    allowed: row.allowed === 1,
    reason: row.reason as string,
    explanation: row.explanation as string,
    sinceEpoch: row.since_epoch as number | null,
    inputs: inputs === null ? null : (JSON.parse(inputs) as VerdictInputs),
  };
}
