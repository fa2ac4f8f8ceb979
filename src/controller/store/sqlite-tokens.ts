import type { Row, SqliteDatabase } from './sqlite-database.ts';
import type { TokenRecord } from './store.ts';

/** Join tokens. */
export class SqliteTokens {
  private readonly database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    this.database = database;
  }

  async add(token: TokenRecord, forgetBefore: number): Promise<void> {
    await this.database.write(() => {
      this.database.run('DELETE FROM tokens WHERE expires_at < ?', forgetBefore);
      this.database.run(
        `INSERT INTO tokens (id, secret, node_id, expires_at, uses_left, names, node_group, silence_s)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
        token.id,
        token.secret ?? null,
        token.nodeId,
        token.expiresAt,
        token.usesLeft,
        token.names ?? null,
        token.group ?? null,
        token.silenceS ?? null,
      );
    });
  }

  find(id: string): TokenRecord | undefined {
    const row = this.database.get('SELECT * FROM tokens WHERE id = ?', id);
    return row && { ...tokenOf(row), secret: (row.secret as Uint8Array | null) ?? undefined };
  }

  open(now: number): Omit<TokenRecord, 'secret'>[] {
    return this.database
      .all(
        `SELECT * FROM tokens
           WHERE uses_left IS NOT 0 AND expires_at > ? ORDER BY expires_at, id`,
        now,
      )
      .map(tokenOf);
  }

  delete(id: string): Promise<boolean> {
    return this.database.write(
      () => this.database.run('DELETE FROM tokens WHERE id = ? AND uses_left IS NOT 0', id) > 0,
    );
  }

  /** Within a write. */
  eraseExpired(now: number): void {
    this.database.run(
      'UPDATE tokens SET secret = NULL WHERE secret IS NOT NULL AND expires_at <= ?',
      now,
    );
  }
}

function tokenOf(row: Row): Omit<TokenRecord, 'secret'> {
  return {
    id: row.id as string,
    nodeId: row.node_id as string | null,
    expiresAt: row.expires_at as number,
    usesLeft: row.uses_left as number | null,
    ...(row.names === null ? {} : { names: row.names as string }),
    ...(row.node_group === null ? {} : { group: row.node_group as string }),
    ...(row.silence_s === null ? {} : { silenceS: row.silence_s as number }),
  };
}
