import type { HistoryLimits } from './history-limits.ts';
import type { SqliteDatabase } from './sqlite-database.ts';
import type { SqliteLog } from './sqlite-log.ts';

/** And so many epochs' rows in the log. */
const BUNDLES = 2;
/** While the database is too large, so much of the past goes at a time, ms. */
const SLICE = 60_000;

/** Lets go of the past, a bounded number of rows at a time: nothing ever waits for a year to be deleted. */
export class SqliteRetention {
  private readonly database: SqliteDatabase;
  private readonly limits: HistoryLimits;
  private readonly log: SqliteLog;

  constructor(database: SqliteDatabase, limits: HistoryLimits, log: SqliteLog) {
    this.database = database;
    this.log = log;
    this.limits = limits;
  }

  /** Within a write. Deletes at most `rows` of each kind. Freed pages are used again. */
  prune(now: number, rows: number): void {
    const before = this.horizon(now);
    this.log.prune(before, BUNDLES);
    this.database.run(
      `DELETE FROM score_history WHERE id IN
         (SELECT id FROM (SELECT id, received_at FROM score_history ORDER BY id LIMIT ?)
           WHERE received_at < ?)`,
      rows,
      before,
    );
    const oldest = this.database.get(
      'SELECT epoch, started_at FROM epoch_history ORDER BY epoch LIMIT 1',
    );
    if (oldest === undefined || (oldest.started_at as number) >= before) return;
    const epoch = oldest.epoch as number;
    const deleted = this.database.run(
      `DELETE FROM verdict_history WHERE (epoch, node_id) IN
         (SELECT epoch, node_id FROM verdict_history WHERE epoch = ? LIMIT ?)`,
      epoch,
      rows,
    );
    if (deleted < rows) this.database.run('DELETE FROM epoch_history WHERE epoch = ?', epoch);
  }

  /** What is older than this goes. */
  private horizon(now: number): number {
    const { maxAgeMs, maxBytes, minAgeMs } = this.limits;
    const byAge = now - maxAgeMs;
    if (this.bytes() <= maxBytes) return byAge;
    const oldest = this.database.get(
      `SELECT min(t) AS t FROM (
         SELECT * FROM (SELECT received_at AS t FROM score_history ORDER BY id LIMIT 1)
         UNION ALL SELECT * FROM (SELECT started_at FROM epoch_history ORDER BY epoch LIMIT 1))`,
    )?.t as number | null;
    const bySize = Math.min((oldest ?? now) + SLICE, now - minAgeMs);
    return Math.max(byAge, bySize);
  }

  /** In use: pages that were freed wait for the next rows. */
  private bytes(): number {
    const of = (pragma: string) => this.database.get(`PRAGMA ${pragma}`)![pragma] as number;
    return (of('page_count') - of('freelist_count')) * of('page_size');
  }
}
