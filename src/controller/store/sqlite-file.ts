import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { privacyFault } from '../../ground/files.ts';
import { MIGRATIONS } from './migrations.ts';
import { StoreError } from './store.ts';

/**
 * Opens or creates the database file, mode 0600, with a journal that is durable and forgetful:
 * every commit is synced, freed content is overwritten with zeros. The file is locked for this
 * process: a second controller on one state directory is a mistake, and nobody else's reading keeps
 * an erased secret in the journal. Throws a `StoreError`.
 */
export function openDatabase(path: string): DatabaseSync {
  if (path !== ':memory:') makePrivate(path);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0, enableForeignKeyConstraints: true });
    database.exec('PRAGMA locking_mode = EXCLUSIVE');
    const version = versionOf(database, path);
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA secure_delete = ON;
      PRAGMA trusted_schema = OFF;
      PRAGMA temp_store = MEMORY;
    `);
    migrate(database, version);
    return database;
  } catch (error) {
    database?.close();
    throw error instanceof StoreError ? error : explained(path, error);
  }
}

/** A plain file of our own that nobody else may read; made if there is none: SQLite would by the umask. */
function makePrivate(path: string): void {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'ELOOP' ? 'is a symbolic link' : `cannot be opened (${code})`;
    throw new StoreError('not_private', `${path}: ${reason}`, { cause: error });
  }
  const stat = fstatSync(fd);
  closeSync(fd);
  const fault = privacyFault(path, stat);
  if (fault !== undefined) throw new StoreError('not_private', fault);
}

/** Of the tables; 0: there are none. Throws a `StoreError` if it is none of this program's. */
function versionOf(database: DatabaseSync, path: string): number {
  const version = database.prepare('PRAGMA user_version').get()!.user_version as number;
  if (version > MIGRATIONS.length) {
    const message =
      `${path}: was written by a newer meshnet (tables of version ${version}; this one knows up to ` +
      `${MIGRATIONS.length}): run that one, or put back a backup that was made before`;
    throw new StoreError('unknown_version', message);
  }
  const isForeign = version === 0 && database.prepare('SELECT 1 FROM sqlite_schema').get();
  if (version < 0 || isForeign) {
    throw new StoreError('unknown_version', `${path}: is no database of a meshnet controller`);
  }
  return version;
}

/** Each step in a transaction of its own: a crash between two leaves a version that is known. */
function migrate(database: DatabaseSync, version: number): void {
  for (let next = version; next < MIGRATIONS.length; next++) {
    database.exec(`BEGIN IMMEDIATE; ${MIGRATIONS[next]} PRAGMA user_version = ${next + 1}; COMMIT`);
  }
}

function explained(path: string, error: unknown): StoreError {
  const text = error instanceof Error ? error.message : String(error);
  if (/locked|busy/i.test(text)) {
    const message = `${path}: is in use: another controller runs on this state directory`;
    return new StoreError('in_use', message, { cause: error });
  }
  return new StoreError('io', `${path}: cannot be used as a database (${text})`, { cause: error });
}
