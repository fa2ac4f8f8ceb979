import type { DatabaseSync } from 'node:sqlite';

interface Write {
  run(): void;
  committed(): void;
  failed(error: unknown): void;
}

/**
 * Writes that arrive in the same turn of the event loop share one transaction and so one sync to
 * the disk, which is what a write costs. Each promise settles after the sync. An operation refuses
 * by returning a value without having written; one that throws takes its transaction with it.
 */
export class WriteQueue {
  private readonly database: DatabaseSync;
  private queue: Write[] = [];

  constructor(database: DatabaseSync) {
    this.database = database;
  }

  add<T>(operation: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.queue.length === 0) setImmediate(() => this.flush());
      let value: T;
      this.queue.push({
        run: () => {
          value = operation();
        },
        committed: () => resolve(value),
        failed: reject,
      });
    });
  }

  /** Commits what is queued and then, in a transaction of its own, this operation. */
  now<T>(operation: () => T): Promise<T> {
    this.flush();
    const result = this.add(operation);
    this.flush();
    return result;
  }

  /** Commits what is queued now instead of at the end of this turn. */
  flush(): void {
    const writes = this.queue;
    this.queue = [];
    if (writes.length === 0) return;
    try {
      this.database.exec('BEGIN IMMEDIATE');
      try {
        for (const write of writes) write.run();
        this.database.exec('COMMIT');
      } catch (error) {
        // A full disk may have ended the transaction already.
        if (this.database.isTransaction) this.database.exec('ROLLBACK');
        throw error;
      }
    } catch (error) {
      for (const write of writes) write.failed(error);
      return;
    }
    for (const write of writes) write.committed();
  }
}
