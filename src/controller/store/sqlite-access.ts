import type { Role } from '../../contract/access.ts';
import type { Row, SqliteDatabase } from './sqlite-database.ts';
import type { AccessTokenRecord } from './store.ts';

/** Access tokens, of which only the hash is kept. */
export class SqliteAccess {
  private readonly database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    this.database = database;
  }

  add({ id, name, role, hash, createdAt, expiresAt }: AccessTokenRecord): Promise<boolean> {
    return this.database.write(() => {
      this.database.run('DELETE FROM access_tokens WHERE expires_at <= ?', createdAt);
      const added = this.database.run(
        'INSERT INTO access_tokens VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
        id,
        name,
        role,
        hash,
        createdAt,
        expiresAt,
      );
      return added > 0;
    });
  }

  find(id: string): AccessTokenRecord | undefined {
    const row = this.database.get('SELECT * FROM access_tokens WHERE id = ?', id);
    return row && tokenOf(row);
  }

  usable(now: number): AccessTokenRecord[] {
    return this.database
      .all(
        'SELECT * FROM access_tokens WHERE expires_at IS NULL OR expires_at > ? ORDER BY name',
        now,
      )
      .map(tokenOf);
  }

  delete(id: string): Promise<boolean> {
    return this.database.write(
      () => this.database.run('DELETE FROM access_tokens WHERE id = ?', id) > 0,
    );
  }
}

function tokenOf(row: Row): AccessTokenRecord {
  return {
    id: row.id as string,
    name: row.name as string,
    role: row.role as Role,
    hash: row.hash as Uint8Array,
    createdAt: row.created_at as number,
    expiresAt: row.expires_at as number | null,
  };
}
