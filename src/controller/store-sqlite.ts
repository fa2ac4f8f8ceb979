import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Envelope } from '../contract/envelope.ts';
import type { Decision, Epoch, EpochVersion } from './epoch.ts';
import type { Score } from './policy.ts';
import { openDatabase } from './sqlite-file.ts';
import {
  type AddressPool,
  type BenchmarkOutcome,
  type BenchmarkRecord,
  type EnrolResult,
  MAX_SEQUENCE_STEP,
  type NodeRecord,
  type Removal,
  type Store,
  type TokenRecord,
} from './store.ts';
import { WriteQueue } from './write-queue.ts';

type Value = string | number | null | Uint8Array;
type Row = Record<string, unknown>;

/** The embedded store: one SQLite file; `:memory:` for tests. */
export class SqliteStore implements Store {
  private readonly database: DatabaseSync;
  private readonly writes: WriteQueue;
  private readonly statements = new Map<string, StatementSync>();
  /** See `freeAddress`. */
  private addressHint = 0;

  /** Creates the file if there is none. Throws a `StoreError`. */
  constructor(path: string) {
    this.database = openDatabase(path);
    this.writes = new WriteQueue(this.database);
    this.checkpoint(); // a crash may have come between an epoch's commit and its scrub
  }

  async mesh(): Promise<Uint8Array | undefined> {
    return this.get('SELECT mesh_id FROM mesh')?.mesh_id as Uint8Array | undefined;
  }

  async claim(meshId: Uint8Array): Promise<boolean> {
    return this.writes.add(() => {
      this.run('INSERT INTO mesh VALUES (1, ?) ON CONFLICT DO NOTHING', meshId);
      return this.get('SELECT 1 FROM mesh WHERE mesh_id = ?', meshId) !== undefined;
    });
  }

  async currentEpoch(): Promise<Epoch | undefined> {
    const row = this.get('SELECT * FROM epoch');
    return row && epochOf(row);
  }

  async commitEpoch(
    expected: EpochVersion | undefined,
    next: Epoch,
    removal?: Removal,
  ): Promise<boolean> {
    return this.writes.now(() => {
      const current = this.get('SELECT epoch, version FROM epoch');
      if (current?.epoch !== expected?.epoch || current?.version !== expected?.version) {
        return false;
      }
      if (expected && (next.epoch <= expected.epoch || next.version <= expected.version)) {
        throw new RangeError('an epoch must be greater than the one before');
      }
      this.run(
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
      if (removal) this.remove(removal);
      this.forgetReservations(next.startedAt);
      this.run(
        'UPDATE tokens SET secret = NULL WHERE secret IS NOT NULL AND expires_at <= ?',
        next.startedAt,
      );
      return true;
    });
  }

  async scrub(): Promise<boolean> {
    return this.checkpoint();
  }

  async nodes(): Promise<NodeRecord[]> {
    return this.all('SELECT * FROM nodes ORDER BY node_id').map(nodeOf);
  }

  async node(nodeId: string): Promise<NodeRecord | undefined> {
    const row = this.get('SELECT * FROM nodes WHERE node_id = ?', nodeId);
    return row && nodeOf(row);
  }

  async setEndpoint(nodeId: string, endpoint: string | null): Promise<boolean> {
    return this.writes.add(
      () => this.run('UPDATE nodes SET endpoint = ? WHERE node_id = ?', endpoint, nodeId) === 1,
    );
  }

  async enrol(
    node: Omit<NodeRecord, 'tunnelAddress'>,
    tokenId: string,
    addresses: AddressPool,
  ): Promise<EnrolResult> {
    return this.writes.add(() => {
      this.forgetReservations(node.enrolledAt);
      const refused = this.refusal(node, tokenId);
      if (refused !== undefined) return refused;
      const tunnelAddress = this.freeAddress(addresses);
      if (tunnelAddress === undefined) return { outcome: 'addresses_exhausted' };
      this.run(
        'INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
        node.nodeId,
        JSON.stringify(node.record),
        node.wireguard,
        node.signing,
        node.sealing,
        tunnelAddress,
        node.endpoint,
        node.enrolledAt,
      );
      for (const key of keysOf(node)) {
        this.run('INSERT INTO node_keys VALUES (?, ?)', key, node.nodeId);
      }
      this.run('UPDATE tokens SET used_by = ?, secret = NULL WHERE id = ?', node.nodeId, tokenId);
      return { outcome: 'enrolled', node: { ...node, tunnelAddress } };
    });
  }

  async addToken(token: TokenRecord, forgetBefore: number): Promise<void> {
    await this.writes.add(() => {
      this.run('DELETE FROM tokens WHERE expires_at < ?', forgetBefore);
      this.run(
        'INSERT INTO tokens VALUES (?, ?, ?, ?, ?)',
        token.id,
        token.secret ?? null,
        token.nodeId,
        token.expiresAt,
        token.usedBy,
      );
    });
  }

  async token(id: string): Promise<TokenRecord | undefined> {
    const row = this.get('SELECT * FROM tokens WHERE id = ?', id);
    return row && { ...tokenOf(row), secret: (row.secret as Uint8Array | null) ?? undefined };
  }

  async openTokens(now: number): Promise<Omit<TokenRecord, 'secret'>[]> {
    return this.all(
      `SELECT id, node_id, expires_at, used_by FROM tokens
         WHERE used_by IS NULL AND expires_at > ? ORDER BY expires_at, id`,
      now,
    ).map(tokenOf);
  }

  async deleteToken(id: string): Promise<boolean> {
    return this.writes.add(
      () => this.run('DELETE FROM tokens WHERE id = ? AND used_by IS NULL', id) > 0,
    );
  }

  async recordBenchmark(one: BenchmarkRecord): Promise<BenchmarkOutcome> {
    return this.writes.add((): BenchmarkOutcome => {
      if (!this.get('SELECT 1 FROM nodes WHERE node_id = ?', one.nodeId)) {
        return { ok: false, reason: 'unknown_node' };
      }
      const key = [one.nodeId, one.suite, one.signer] as const;
      const before = this.get(
        'SELECT sequence, observed_at FROM sequences WHERE node_id = ? AND suite = ? AND signer = ?',
        ...key,
      );
      const last = (before?.sequence as number | undefined) ?? 0;
      if (one.sequence <= last) return { ok: false, reason: 'sequence_replayed', last };
      if (one.sequence > last + MAX_SEQUENCE_STEP) {
        return { ok: false, reason: 'sequence_too_far', last };
      }
      if (one.observedAt < ((before?.observed_at as number | undefined) ?? 0)) {
        return { ok: false, reason: 'observed_decreasing', last };
      }
      this.run(
        'INSERT OR REPLACE INTO sequences VALUES (?, ?, ?, ?, ?)',
        ...key,
        one.sequence,
        one.observedAt,
      );
      this.run(
        'INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
        ...key,
        one.score,
        one.samples,
        one.observedAt,
        one.receivedAt,
        JSON.stringify(one.evidence),
      );
      return { ok: true };
    });
  }

  async scores(): Promise<Map<string, Score[]>> {
    const byNode = new Map<string, Score[]>();
    for (const row of this.all(`SELECT ${SCORE} FROM scores`)) {
      const nodeId = row.node_id as string;
      const known = byNode.get(nodeId);
      if (known) known.push(scoreOf(row));
      else byNode.set(nodeId, [scoreOf(row)]);
    }
    return byNode;
  }

  async scoresOf(nodeId: string): Promise<Score[]> {
    return this.all(`SELECT ${SCORE} FROM scores WHERE node_id = ?`, nodeId).map(scoreOf);
  }

  async resetSequences(nodeId: string): Promise<boolean> {
    return this.writes.add(() => {
      if (!this.get('SELECT 1 FROM nodes WHERE node_id = ?', nodeId)) return false;
      this.run('UPDATE sequences SET sequence = 0 WHERE node_id = ?', nodeId);
      return true;
    });
  }

  async latestTime(): Promise<number> {
    const row = this.get(
      `SELECT max(t) AS t FROM (SELECT max(received_at) AS t FROM scores
         UNION ALL SELECT max(enrolled_at) FROM nodes UNION ALL SELECT started_at FROM epoch)`,
    );
    return (row?.t as number | null | undefined) ?? 0;
  }

  async close(): Promise<void> {
    this.writes.flush();
    this.checkpoint();
    this.statements.clear();
    this.database.close();
  }

  private refusal(
    node: Omit<NodeRecord, 'tunnelAddress'>,
    tokenId: string,
  ): EnrolResult | undefined {
    if (!this.get('SELECT 1 FROM tokens WHERE id = ? AND used_by IS NULL', tokenId)) {
      return { outcome: 'token_used' };
    }
    if (this.get('SELECT 1 FROM nodes WHERE node_id = ?', node.nodeId)) {
      return { outcome: 'node_exists' };
    }
    const reserved = this.get('SELECT until FROM reserved WHERE node_id = ?', node.nodeId);
    if (reserved) {
      return { outcome: 'node_id_reserved', reservedUntil: reserved.until as number };
    }
    for (const key of keysOf(node)) {
      if (this.get('SELECT 1 FROM node_keys WHERE public_key = ?', key)) {
        return { outcome: 'key_in_use' };
      }
    }
    return undefined;
  }

  /** The first one that is free. All before `addressHint` are taken, so that few are looked up. */
  private freeAddress(addresses: AddressPool): string | undefined {
    const taken =
      'SELECT 1 FROM nodes WHERE tunnel_address = ?1 UNION ALL SELECT 1 FROM reserved WHERE tunnel_address = ?1';
    for (let i = this.addressHint; i < addresses.length; i++) {
      const address = addresses.at(i)!;
      if (this.get(taken, address) !== undefined) continue;
      this.addressHint = i;
      return address;
    }
    if (this.addressHint === 0) return undefined;
    this.addressHint = 0; // another controller may have freed one
    return this.freeAddress(addresses);
  }

  private remove({ nodeId, reservedUntil }: Removal): void {
    this.run(
      'INSERT INTO reserved SELECT node_id, tunnel_address, ? FROM nodes WHERE node_id = ?',
      reservedUntil,
      nodeId,
    );
    this.run('DELETE FROM nodes WHERE node_id = ?', nodeId);
    this.run('DELETE FROM scores WHERE node_id = ?', nodeId);
  }

  /** Keys and sequences are kept as long as the name: no old score outlives that. */
  private forgetReservations(now: number): void {
    if (this.run('DELETE FROM reserved WHERE until <= ?', now) === 0) return;
    this.addressHint = 0; // one of them may have been the first
    for (const table of ['node_keys', 'sequences']) {
      this.run(
        `DELETE FROM ${table} WHERE node_id NOT IN
           (SELECT node_id FROM nodes UNION SELECT node_id FROM reserved)`,
      );
    }
  }

  /** Copies the journal into the file and empties it: old pages go, and secrets with them. */
  private checkpoint(): boolean {
    return this.get('PRAGMA wal_checkpoint(TRUNCATE)')?.busy === 0;
  }

  private prepare(sql: string): StatementSync {
    let statement = this.statements.get(sql);
    if (statement === undefined) {
      statement = this.database.prepare(sql);
      this.statements.set(sql, statement);
    }
    return statement;
  }

  private get(sql: string, ...values: Value[]): Row | undefined {
    return this.prepare(sql).get(...values);
  }

  private all(sql: string, ...values: Value[]): Row[] {
    return this.prepare(sql).all(...values);
  }

  /** Number of rows changed. */
  private run(sql: string, ...values: Value[]): number {
    return Number(this.prepare(sql).run(...values).changes);
  }
}

const SCORE = 'node_id, suite, signer, score, samples, observed_at, received_at';

function keysOf(node: Pick<NodeRecord, 'wireguard' | 'signing' | 'sealing'>): Uint8Array[] {
  return [node.wireguard, node.signing, node.sealing];
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

function scoreOf(row: Row): Score {
  return {
    suite: row.suite as string,
    signer: row.signer as string,
    score: row.score as number,
    samples: row.samples as number,
    observedAt: row.observed_at as number,
    receivedAt: row.received_at as number,
  };
}

function tokenOf(row: Row): Omit<TokenRecord, 'secret'> {
  return {
    id: row.id as string,
    nodeId: row.node_id as string | null,
    expiresAt: row.expires_at as number,
    usedBy: row.used_by as string | null,
  };
}
