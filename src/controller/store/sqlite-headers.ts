import type { Envelope } from '../../contract/envelope.ts';
import { decodeEntries, encodeEntries } from '../../contract/epoch/entry-list.ts';
import type { Epoch, EpochHeader } from '../epoch.ts';
import type { SqliteDatabase } from './sqlite-database.ts';
import { StoreError } from './store.ts';

/** So many headers are kept for those who missed some: a day of epochs of a minute. */
const KEPT_HEADERS = 1440;

/** The signed headers of the last epochs, and the membership that the newest names. */
export class SqliteHeaders {
  private readonly database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    this.database = database;
  }

  /** Within a write: the header of the epoch that becomes the current one, if it has one. */
  keep({ epoch, version, header }: Epoch): void {
    if (header === undefined) return;
    const envelope = JSON.stringify(header.envelope);
    this.database.run('INSERT INTO headers VALUES (?, ?, ?)', version, epoch, envelope);
    this.database.run('DELETE FROM headers WHERE version <= ?', version - KEPT_HEADERS);
    this.database.run(
      'INSERT INTO membership VALUES (1, ?) ON CONFLICT DO UPDATE SET entries = excluded.entries',
      encodeEntries(header.members),
    );
  }

  /** Undefined: none was made for this epoch, or it is kept no more. */
  find(epoch: number): Envelope | undefined {
    const row = this.database.get('SELECT envelope FROM headers WHERE epoch = ?', epoch);
    return row && (JSON.parse(row.envelope as string) as Envelope);
  }

  /** What was kept with the current epoch. */
  current({ epoch }: Epoch): EpochHeader | undefined {
    const envelope = this.find(epoch);
    if (envelope === undefined) return undefined;
    const row = this.database.get('SELECT entries FROM membership');
    const members = row && decodeEntries(row.entries as Uint8Array);
    if (members === undefined) throw new StoreError('io', 'the membership kept cannot be read');
    return { envelope, members };
  }
}
