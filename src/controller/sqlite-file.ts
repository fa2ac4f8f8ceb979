import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { privacyFault } from '../ground/files.ts';
import { StoreError } from './store.ts';

/** Raised when the tables change; an unknown one is refused rather than guessed at. */
const SCHEMA_VERSION = 1;

const TABLES = `
  CREATE TABLE mesh (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    mesh_id BLOB NOT NULL
  ) STRICT;
  -- One row: of what is over, only the log tells.
  CREATE TABLE epoch (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    version INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    secret BLOB,
    decisions TEXT NOT NULL,
    removed TEXT NOT NULL
  ) STRICT;
  CREATE TABLE nodes (
    node_id TEXT PRIMARY KEY,
    record TEXT NOT NULL,
    wireguard BLOB NOT NULL,
    signing BLOB NOT NULL,
    sealing BLOB NOT NULL,
    tunnel_address TEXT NOT NULL UNIQUE,
    endpoint TEXT,
    enrolled_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  -- All keys of all nodes in one column: a key has one use in the mesh. Those of nodes that were
  -- removed stay while their names and addresses are reserved.
  CREATE TABLE node_keys (
    public_key BLOB PRIMARY KEY,
    node_id TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE reserved (
    node_id TEXT PRIMARY KEY,
    tunnel_address TEXT NOT NULL,
    until INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    secret BLOB,
    node_id TEXT,
    expires_at INTEGER NOT NULL,
    used_by TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE sequences (
    node_id TEXT NOT NULL,
    suite TEXT NOT NULL,
    signer TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    observed_at INTEGER NOT NULL,
    PRIMARY KEY (node_id, suite, signer)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE scores (
    node_id TEXT NOT NULL,
    suite TEXT NOT NULL,
    signer TEXT NOT NULL,
    score REAL NOT NULL,
    samples INTEGER NOT NULL,
    observed_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    evidence TEXT NOT NULL,
    PRIMARY KEY (node_id, suite, signer)
  ) STRICT, WITHOUT ROWID;
`;

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
    database.exec(`
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA secure_delete = ON;
      PRAGMA trusted_schema = OFF;
      PRAGMA temp_store = MEMORY;
    `);
    createTables(database, path);
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

function createTables(database: DatabaseSync, path: string): void {
  const version = database.prepare('PRAGMA user_version').get()!.user_version;
  if (version === SCHEMA_VERSION) return;
  if (version !== 0) {
    const message = `${path}: has tables of version ${version}, this program knows ${SCHEMA_VERSION}`;
    throw new StoreError('unknown_version', message);
  }
  database.exec(`BEGIN IMMEDIATE; ${TABLES} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
}

function explained(path: string, error: unknown): StoreError {
  const text = error instanceof Error ? error.message : String(error);
  if (/locked|busy/i.test(text)) {
    const message = `${path}: is in use: another controller runs on this state directory`;
    return new StoreError('in_use', message, { cause: error });
  }
  return new StoreError('io', `${path}: cannot be used as a database (${text})`, { cause: error });
}
