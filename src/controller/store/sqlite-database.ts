import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { openDatabase } from './sqlite-file.ts';
import { WriteQueue } from './write-queue.ts';

export type Value = string | number | null | Uint8Array;
export type Row = Record<string, unknown>;

/** One open database: statements prepared once, writes that share transactions. */
export class SqliteDatabase {
  private readonly database: DatabaseSync;
  private readonly writes: WriteQueue;
  private readonly statements = new Map<string, StatementSync>();

  /** Creates the file if there is none. Throws a `StoreError`. */
  constructor(path: string) {
    this.database = openDatabase(path);
    this.writes = new WriteQueue(this.database);
    this.checkpoint(); // a crash may have come between an epoch's commit and its scrub
  }

  get(sql: string, ...values: Value[]): Row | undefined {
    return this.prepare(sql).get(...values);
  }

  all(sql: string, ...values: Value[]): Row[] {
    return this.prepare(sql).all(...values);
  }

  /** Rows as arrays of their columns: for many rows, in a third of the time. */
  arrays<Columns extends readonly unknown[]>(sql: string, ...values: Value[]): Columns[] {
    const statement = this.prepare(sql);
    statement.setReturnArrays(true);
    return statement.all(...values) as unknown as Columns[];
  }

  /** Only within a write. Number of rows changed. */
  run(sql: string, ...values: Value[]): number {
    return Number(this.prepare(sql).run(...values).changes);
  }

  /** Only within a write. The id of the row. */
  insert(sql: string, ...values: Value[]): number {
    return Number(this.prepare(sql).run(...values).lastInsertRowid);
  }

  /** Runs `operation` in a transaction, with others that are asked for in the same turn. */
  write<T>(operation: () => T): Promise<T> {
    return this.writes.add(operation);
  }

  /** The same at once, in a transaction of its own. */
  writeNow<T>(operation: () => T): Promise<T> {
    return this.writes.now(operation);
  }

  /** Copies the journal into the file and empties it: old pages go, and secrets with them. */
  checkpoint(): boolean {
    return this.get('PRAGMA wal_checkpoint(TRUNCATE)')?.busy === 0;
  }

  close(): void {
    this.writes.flush();
    this.checkpoint();
    this.statements.clear();
    this.database.close();
  }

  private prepare(sql: string): StatementSync {
    let statement = this.statements.get(sql);
    if (statement === undefined) {
      statement = this.database.prepare(sql);
      this.statements.set(sql, statement);
    }
    return statement;
  }
}
