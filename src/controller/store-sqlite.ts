import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Envelope } from '../contract/envelope.ts';
import type { Epoch, EpochVersion } from './epoch.ts';
import type { Score } from './policy.ts';
import {
  type BenchmarkOutcome,
  type BenchmarkRecord,
  type EnrolOutcome,
  MAX_SEQUENCE_STEP,
  type NodeRecord,
  type Store,
  type TokenRecord,
} from './store.ts';

/** Epochs kept as a record of who was in and why; their secrets are gone. */
const KEPT_EPOCHS = 1000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS epochs (
    epoch INTEGER PRIMARY KEY,
    version INTEGER NOT NULL UNIQUE,
    started_at INTEGER NOT NULL,
    members TEXT NOT NULL,
    removed TEXT NOT NULL,
    verdicts TEXT NOT NULL,
    secret BLOB
  ) STRICT;
  CREATE TABLE IF NOT EXISTS nodes (
    node_id TEXT PRIMARY KEY,
    record TEXT NOT NULL,
    wireguard BLOB NOT NULL,
    signing BLOB NOT NULL,
    sealing BLOB NOT NULL,
    tunnel_address TEXT NOT NULL UNIQUE,
    endpoint TEXT,
    enrolled_at INTEGER NOT NULL
  ) STRICT;
  -- All keys of all nodes in one column: a key is unique in the mesh, whatever it is used for.
  CREATE TABLE IF NOT EXISTS node_keys (
    public_key BLOB PRIMARY KEY,
    node_id TEXT NOT NULL REFERENCES nodes(node_id) ON DELETE CASCADE
  ) STRICT;
  CREATE TABLE IF NOT EXISTS released (
    node_id TEXT NOT NULL,
    tunnel_address TEXT NOT NULL,
    released_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS tokens (
    id TEXT PRIMARY KEY,
    secret BLOB NOT NULL,
    node_id TEXT,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
  ) STRICT;
  CREATE TABLE IF NOT EXISTS sequences (
    signer TEXT NOT NULL,
    node_id TEXT NOT NULL REFERENCES nodes(node_id) ON DELETE CASCADE,
    suite TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    observed_at INTEGER NOT NULL,
    PRIMARY KEY (signer, node_id, suite)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS scores (
    node_id TEXT NOT NULL REFERENCES nodes(node_id) ON DELETE CASCADE,
    suite TEXT NOT NULL,
    score REAL NOT NULL,
    samples INTEGER NOT NULL,
    at INTEGER NOT NULL,
    evidence TEXT NOT NULL,
    PRIMARY KEY (node_id, suite)
  ) STRICT;
`;

type Row = Record<string, unknown>;

/** The embedded store: one SQLite file, mode 0600, full sync: acknowledged means on the disk. */
export class SqliteStore implements Store {
  private readonly db: DatabaseSync;
  private readonly statements = new Map<string, StatementSync>();

  /** Creates the file if there is none. Throws SQLite's error if it cannot be used. */
  constructor(path: string) {
    closeSync(openSync(path, 'a', 0o600)); // SQLite would create it by the umask
    chmodSync(path, 0o600);
    this.db = new DatabaseSync(path, { enableForeignKeyConstraints: true });
    this.db.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA secure_delete = ON;
      PRAGMA busy_timeout = 5000;
    `);
    this.db.exec(SCHEMA);
  }

  async currentEpoch(): Promise<Epoch | undefined> {
    return this.readCurrent();
  }

  async commitEpoch(expected: EpochVersion | undefined, next: Epoch): Promise<boolean> {
    const committed = this.transaction(() => {
      const current = this.readCurrent();
      if (current?.epoch !== expected?.epoch || current?.version !== expected?.version) {
        return false;
      }
      if (current && (next.epoch <= current.epoch || next.version <= current.version)) {
        throw new RangeError('an epoch must be greater than the one before');
      }
      this.run('UPDATE epochs SET secret = NULL WHERE secret IS NOT NULL');
      this.run(
        'INSERT INTO epochs (epoch, version, started_at, members, removed, verdicts, secret) VALUES (?, ?, ?, ?, ?, ?, ?)',
        next.epoch,
        next.version,
        next.startedAt,
        JSON.stringify(next.members),
        JSON.stringify(next.removed),
        JSON.stringify(next.verdicts),
        next.secret ?? null,
      );
      this.run('DELETE FROM epochs WHERE epoch <= ?', next.epoch - KEPT_EPOCHS);
      return true;
    });
    // The write-ahead log still holds the page with the old secret: empty it.
    if (committed) this.db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    return committed;
  }

  async nodes(): Promise<NodeRecord[]> {
    return this.all('SELECT * FROM nodes ORDER BY node_id').map(nodeOf);
  }

  async node(nodeId: string): Promise<NodeRecord | undefined> {
    const row = this.get('SELECT * FROM nodes WHERE node_id = ?', nodeId);
    return row && nodeOf(row);
  }

  async enrol(
    node: Omit<NodeRecord, 'tunnelAddress'>,
    tokenId: string,
    addresses: Iterable<string>,
    reservedSince: number,
  ): Promise<{ outcome: EnrolOutcome; node?: NodeRecord }> {
    return this.transaction(() => {
      const refused = this.refusal(node, tokenId, reservedSince);
      if (refused !== undefined) return { outcome: refused };
      const taken = new Set(
        this.all(
          'SELECT tunnel_address FROM nodes UNION SELECT tunnel_address FROM released WHERE released_at > ?',
          reservedSince,
        ).map((row) => row.tunnel_address as string),
      );
      let tunnelAddress: string | undefined;
      for (const address of addresses) {
        if (taken.has(address)) continue;
        tunnelAddress = address;
        break;
      }
      if (tunnelAddress === undefined) return { outcome: 'addresses_exhausted' };
      const enrolled = { ...node, tunnelAddress };
      this.run(
        'INSERT INTO nodes (node_id, record, wireguard, signing, sealing, tunnel_address, endpoint, enrolled_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
        node.nodeId,
        JSON.stringify(node.record),
        node.wireguard,
        node.signing,
        node.sealing,
        tunnelAddress,
        node.endpoint,
        node.enrolledAt,
      );
      for (const key of [node.wireguard, node.signing, node.sealing]) {
        this.run('INSERT INTO node_keys (public_key, node_id) VALUES (?, ?)', key, node.nodeId);
      }
      this.run(
        'UPDATE tokens SET used_at = ?, secret = zeroblob(32) WHERE id = ?',
        node.enrolledAt,
        tokenId,
      );
      return { outcome: 'enrolled', node: enrolled };
    });
  }

  async removeNode(nodeId: string, now: number): Promise<boolean> {
    return this.transaction(() => {
      const row = this.get('SELECT tunnel_address FROM nodes WHERE node_id = ?', nodeId);
      if (row === undefined) return false;
      this.run('DELETE FROM nodes WHERE node_id = ?', nodeId);
      this.run(
        'INSERT INTO released (node_id, tunnel_address, released_at) VALUES (?, ?, ?)',
        nodeId,
        row.tunnel_address as string,
        now,
      );
      return true;
    });
  }

  async addToken(token: TokenRecord): Promise<void> {
    this.run(
      'INSERT INTO tokens (id, secret, node_id, expires_at, used_at) VALUES (?, ?, ?, ?, ?)',
      token.id,
      token.secret,
      token.nodeId,
      token.expiresAt,
      token.usedAt,
    );
  }

  async token(id: string): Promise<TokenRecord | undefined> {
    const row = this.get('SELECT * FROM tokens WHERE id = ?', id);
    return row && tokenOf(row);
  }

  async openTokens(now: number): Promise<TokenRecord[]> {
    return this.all(
      'SELECT * FROM tokens WHERE used_at IS NULL AND expires_at > ? ORDER BY expires_at',
      now,
    ).map(tokenOf);
  }

  async deleteToken(id: string): Promise<boolean> {
    return this.run('DELETE FROM tokens WHERE id = ? AND used_at IS NULL', id) > 0;
  }

  async recordBenchmark(one: BenchmarkRecord): Promise<BenchmarkOutcome> {
    return this.transaction(() => {
      if (this.get('SELECT 1 FROM nodes WHERE node_id = ?', one.nodeId) === undefined) {
        return { ok: false, reason: 'unknown_node', last: 0 };
      }
      const key = [one.signer, one.nodeId, one.suite] as const;
      const last = this.get(
        'SELECT sequence, observed_at FROM sequences WHERE signer = ? AND node_id = ? AND suite = ?',
        ...key,
      );
      const sequence = (last?.sequence as number | undefined) ?? 0;
      if (one.sequence <= sequence)
        return { ok: false, reason: 'sequence_replayed', last: sequence };
      if (one.sequence > sequence + MAX_SEQUENCE_STEP) {
        return { ok: false, reason: 'sequence_too_far', last: sequence };
      }
      if (one.observedAt < ((last?.observed_at as number | undefined) ?? 0)) {
        return { ok: false, reason: 'observed_decreasing', last: sequence };
      }
      this.run(
        'INSERT OR REPLACE INTO sequences (signer, node_id, suite, sequence, observed_at) VALUES (?, ?, ?, ?, ?)',
        ...key,
        one.sequence,
        one.observedAt,
      );
      this.run(
        'INSERT OR REPLACE INTO scores (node_id, suite, score, samples, at, evidence) VALUES (?, ?, ?, ?, ?, ?)',
        one.nodeId,
        one.suite,
        one.score,
        one.samples,
        Math.min(one.observedAt, one.receivedAt),
        JSON.stringify(one.evidence),
      );
      return { ok: true };
    });
  }

  async scores(): Promise<Map<string, Map<string, Score>>> {
    const scores = new Map<string, Map<string, Score>>();
    for (const row of this.all('SELECT node_id, suite, score, samples, at FROM scores')) {
      const nodeId = row.node_id as string;
      let suites = scores.get(nodeId);
      if (suites === undefined) {
        suites = new Map();
        scores.set(nodeId, suites);
      }
      suites.set(row.suite as string, {
        score: row.score as number,
        samples: row.samples as number,
        at: row.at as number,
      });
    }
    return scores;
  }

  async resetSequences(nodeId: string): Promise<boolean> {
    return this.transaction(() => {
      if (this.get('SELECT 1 FROM nodes WHERE node_id = ?', nodeId) === undefined) return false;
      this.run('DELETE FROM sequences WHERE node_id = ?', nodeId);
      return true;
    });
  }

  async close(): Promise<void> {
    this.statements.clear();
    this.db.close();
  }

  private refusal(
    node: Omit<NodeRecord, 'tunnelAddress'>,
    tokenId: string,
    reservedSince: number,
  ): EnrolOutcome | undefined {
    const token = this.get('SELECT used_at FROM tokens WHERE id = ?', tokenId);
    if (token === undefined || token.used_at !== null) return 'token_used';
    if (this.get('SELECT 1 FROM nodes WHERE node_id = ?', node.nodeId)) return 'node_exists';
    const isReserved = this.get(
      'SELECT 1 FROM released WHERE node_id = ? AND released_at > ?',
      node.nodeId,
      reservedSince,
    );
    if (isReserved) return 'node_id_reserved';
    for (const key of [node.wireguard, node.signing, node.sealing]) {
      if (this.get('SELECT 1 FROM node_keys WHERE public_key = ?', key)) return 'key_in_use';
    }
    return undefined;
  }

  private readCurrent(): Epoch | undefined {
    const row = this.get('SELECT * FROM epochs ORDER BY epoch DESC LIMIT 1');
    return row && epochOf(row);
  }

  private transaction<T>(body: () => T): T {
    this.db.exec('BEGIN IMMEDIATE');
    try {
      const result = body();
      this.db.exec('COMMIT');
      return result;
    } catch (error) {
      this.db.exec('ROLLBACK');
      throw error;
    }
  }

  private prepare(sql: string): StatementSync {
    let statement = this.statements.get(sql);
    if (statement === undefined) {
      statement = this.db.prepare(sql);
      this.statements.set(sql, statement);
    }
    return statement;
  }

  private get(sql: string, ...values: SqlValue[]): Row | undefined {
    return this.prepare(sql).get(...values) as Row | undefined;
  }

  private all(sql: string, ...values: SqlValue[]): Row[] {
    return this.prepare(sql).all(...values) as Row[];
  }

  /** Number of rows changed. */
  private run(sql: string, ...values: SqlValue[]): number {
    return Number(this.prepare(sql).run(...values).changes);
  }
}

type SqlValue = string | number | null | Uint8Array;

function epochOf(row: Row): Epoch {
  return {
    epoch: row.epoch as number,
    version: row.version as number,
    startedAt: row.started_at as number,
    members: JSON.parse(row.members as string) as Epoch['members'],
    removed: JSON.parse(row.removed as string) as Epoch['removed'],
    verdicts: JSON.parse(row.verdicts as string) as Epoch['verdicts'],
    secret: (row.secret as Uint8Array | null) ?? undefined,
  };
}

function nodeOf(row: Row): NodeRecord {
  return {
    nodeId: row.node_id as string,
    record: JSON.parse(row.record as string) as Envelope,
    wireguard: row.wireguard as Uint8Array,
    signing: row.signing as Uint8Array,
    sealing: row.sealing as Uint8Array,
    tunnelAddress: row.tunnel_address as string,
    endpoint: row.endpoint as string | null,
    enrolledAt: row.enrolled_at as number,
  };
}

function tokenOf(row: Row): TokenRecord {
  return {
    id: row.id as string,
    secret: row.secret as Uint8Array,
    nodeId: row.node_id as string | null,
    expiresAt: row.expires_at as number,
    usedAt: row.used_at as number | null,
  };
}
