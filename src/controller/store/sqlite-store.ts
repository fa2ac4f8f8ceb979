import type { Envelope } from '../../contract/envelope.ts';
import type { NotedEvent, PolicyText } from '../../contract/record/leaf.ts';
import type { Tile } from '../../record/tiles.ts';
import type { Epoch, EpochVersion } from '../epoch.ts';
import type { Score } from '../policy.ts';
import type { HistoryLimits } from './history-limits.ts';
import type { LeavesBehind, LogState } from './log-store.ts';
import { SqliteAccess } from './sqlite-access.ts';
import { SqliteDatabase } from './sqlite-database.ts';
import { SqliteEpochs } from './sqlite-epochs.ts';
import { SqliteHeaders } from './sqlite-headers.ts';
import { enrolledEvent, SqliteLog } from './sqlite-log.ts';
import { SqliteNodes } from './sqlite-nodes.ts';
import { SqliteRetention } from './sqlite-retention.ts';
import { SqliteScores } from './sqlite-scores.ts';
import { SqliteTokens } from './sqlite-tokens.ts';
import {
  type AccessTokenRecord,
  type AddressPool,
  type BenchmarkOutcome,
  type BenchmarkRecord,
  type EnrolResult,
  type EpochStep,
  type NodeRecord,
  type Places,
  type Roster,
  type ScorePage,
  type Store,
  samePlaces,
  type TokenRecord,
  type VerdictRecord,
} from './store.ts';

/** With each score so many of the past may go: what is over its time never grows. */
const PRUNED_PER_SCORE = 4;
/** And so many after each epoch, beside twice as many as it decided about. */
const PRUNED_PER_EPOCH = 256;

/** The embedded store: one SQLite file; `:memory:` for tests. */
export class SqliteStore implements Store {
  private readonly database: SqliteDatabase;
  private readonly epochs: SqliteEpochs;
  private readonly headers: SqliteHeaders;
  private readonly enrolled: SqliteNodes;
  private readonly tokens: SqliteTokens;
  private readonly access: SqliteAccess;
  private readonly benchmarks: SqliteScores;
  private readonly log: SqliteLog;
  private readonly retention: SqliteRetention | undefined;

  /**
   * Creates the file if there is none, and brings an older one to today's tables. Without `history`
   * nothing of the past is let go. Throws a `StoreError`.
   */
  constructor(path: string, history?: HistoryLimits) {
    this.database = new SqliteDatabase(path);
    this.log = new SqliteLog(this.database);
    this.epochs = new SqliteEpochs(this.database);
    this.headers = new SqliteHeaders(this.database);
    this.enrolled = new SqliteNodes(this.database);
    this.tokens = new SqliteTokens(this.database);
    this.access = new SqliteAccess(this.database);
    this.benchmarks = new SqliteScores(this.database);
    this.retention = history && new SqliteRetention(this.database, history, this.log);
  }

  async mesh(): Promise<Uint8Array | undefined> {
    return this.database.get('SELECT mesh_id FROM mesh')?.mesh_id as Uint8Array | undefined;
  }

  async claim(meshId: Uint8Array): Promise<boolean> {
    return this.database.write(() => {
      this.database.run('INSERT INTO mesh VALUES (1, ?) ON CONFLICT DO NOTHING', meshId);
      return this.database.get('SELECT 1 FROM mesh WHERE mesh_id = ?', meshId) !== undefined;
    });
  }

  async currentEpoch(): Promise<Epoch | undefined> {
    const epoch = this.epochs.current();
    const header = epoch && this.headers.current(epoch);
    return header ? { ...epoch, header } : epoch;
  }

  async commitEpoch(
    expected: EpochVersion | undefined,
    next: Epoch,
    { removals = [], revision, verdicts, record }: EpochStep = {},
  ): Promise<boolean> {
    return this.database.writeNow(() => {
      if (revision !== undefined && revision !== this.enrolled.revision()) return false;
      if (!this.epochs.replace(expected, next, verdicts)) return false;
      this.headers.keep(next);
      const { startedAt, epoch, version, secret } = next;
      for (const removal of removals) {
        this.enrolled.remove(removal);
        this.log.append(startedAt, { event: 'removed', node: removal.nodeId });
      }
      if (record) this.log.recordEpoch(startedAt, record);
      if (secret === undefined) this.log.recordRestored(startedAt, epoch, version);
      this.enrolled.forgetReservations(startedAt);
      this.tokens.eraseExpired(startedAt);
      return true;
    });
  }

  async header(epoch: number): Promise<Envelope | undefined> {
    return this.headers.find(epoch);
  }

  async scrub(): Promise<boolean> {
    const epoch = this.epochs.current();
    const { retention } = this;
    if (epoch !== undefined && retention !== undefined) {
      const rows = PRUNED_PER_EPOCH + 2 * epoch.decisions.length;
      await this.database.writeNow(() => retention.prune(epoch.startedAt, rows));
    }
    return this.database.checkpoint();
  }

  async roster(): Promise<Roster> {
    return this.enrolled.roster();
  }

  async rosterRevision(): Promise<number> {
    return this.enrolled.revision();
  }

  async node(nodeId: string): Promise<NodeRecord | undefined> {
    return this.enrolled.find(nodeId);
  }

  async setPlaces(nodeId: string, places: Places, at: number): Promise<number | undefined> {
    return this.database.write(() => {
      const before = this.enrolled.find(nodeId);
      if (before === undefined) return undefined;
      if (samePlaces(before, places)) return this.enrolled.revision();
      this.log.append(at, { event: 'endpoint_changed', node: nodeId });
      return this.enrolled.setPlaces(nodeId, places);
    });
  }

  async enrol(
    node: Omit<NodeRecord, 'tunnelAddress'>,
    tokenId: string,
    addresses: AddressPool,
  ): Promise<EnrolResult> {
    return this.database.write(() => {
      const result = this.enrolled.enrol(node, tokenId, addresses);
      if (result.outcome === 'enrolled') {
        this.log.append(node.enrolledAt, enrolledEvent(result.node));
      }
      return result;
    });
  }

  async addToken(token: TokenRecord, forgetBefore: number): Promise<void> {
    await this.tokens.add(token, forgetBefore);
  }

  async token(id: string): Promise<TokenRecord | undefined> {
    return this.tokens.find(id);
  }

  async openTokens(now: number): Promise<Omit<TokenRecord, 'secret'>[]> {
    return this.tokens.open(now);
  }

  async tokenOf(nodeId: string): Promise<string | undefined> {
    return this.enrolled.tokenOf(nodeId);
  }

  async deleteToken(id: string): Promise<boolean> {
    return this.tokens.delete(id);
  }

  async addAccessToken(token: AccessTokenRecord): Promise<boolean> {
    return this.access.add(token);
  }

  async accessToken(id: string): Promise<AccessTokenRecord | undefined> {
    return this.access.find(id);
  }

  async accessTokens(now: number): Promise<AccessTokenRecord[]> {
    return this.access.usable(now);
  }

  async deleteAccessToken(id: string): Promise<boolean> {
    return this.access.delete(id);
  }

  async recordBenchmark(one: BenchmarkRecord): Promise<BenchmarkOutcome> {
    const { row, ...outcome } = await this.database.write(() => {
      const recorded = this.benchmarks.record(one);
      if (recorded.ok) this.retention?.prune(one.receivedAt, PRUNED_PER_SCORE);
      return recorded;
    });
    if (row !== undefined) this.benchmarks.committed(row);
    return outcome;
  }

  async scores(): Promise<Map<string, Score[]>> {
    return this.benchmarks.newest();
  }

  async scoresOf(nodeId: string): Promise<Score[]> {
    return this.benchmarks.newestOf(nodeId);
  }

  async resetSequences(nodeId: string, at: number): Promise<boolean> {
    return this.database.write(() => {
      if (this.enrolled.find(nodeId) === undefined) return false;
      this.benchmarks.resetSequences(nodeId);
      this.log.append(at, { event: 'sequences_reset', node: nodeId });
      return true;
    });
  }

  async scoresSince(sinceMs: number): Promise<Map<string, Score[]>> {
    return this.benchmarks.since(sinceMs);
  }

  async scorePage(before: number | null, limit: number): Promise<ScorePage> {
    return this.benchmarks.page(before, limit);
  }

  async evidenceOf(nodeId: string, limit: number): Promise<BenchmarkRecord[]> {
    return this.benchmarks.evidenceOf(nodeId, limit);
  }

  async verdictsOf(nodeId: string, limit: number): Promise<VerdictRecord[]> {
    return this.epochs.verdictsOf(nodeId, limit);
  }

  async recentVerdicts(epochs: number): Promise<Map<string, VerdictRecord[]>> {
    return this.epochs.recent(epochs);
  }

  async recordStart(at: number, policy: PolicyText, hash: string): Promise<void> {
    await this.database.write(() => {
      // A mesh that is older than its log begins it with those who are enrolled.
      const nodes = this.log.state.size === 0 ? this.enrolled.roster().nodes : [];
      for (const node of nodes) this.log.append(at, enrolledEvent(node));
      this.log.recordStart(at, policy, hash);
    });
  }

  async recordPolicy(at: number, policy: PolicyText, hash: string): Promise<void> {
    await this.database.write(() => this.log.recordPolicy(at, policy, hash));
  }

  async record(at: number, event: NotedEvent): Promise<void> {
    await this.database.write(() => this.log.append(at, event));
  }

  async logState(): Promise<LogState> {
    return this.log.state;
  }

  async logTile(tile: Tile): Promise<Uint8Array | undefined> {
    return this.log.tile(tile);
  }

  async inclusionProof(index: number, size: number): Promise<readonly Uint8Array[]> {
    return this.log.inclusionProof(index, size);
  }

  async consistencyProof(oldSize: number, size: number): Promise<readonly Uint8Array[]> {
    return this.log.consistencyProof(oldSize, size);
  }

  async leavesBehind(node: string, epoch: number): Promise<LeavesBehind | undefined> {
    return this.log.leavesBehind(node, epoch);
  }

  async evidenceNamedBy(row: Uint8Array): Promise<readonly Uint8Array[]> {
    return this.log.evidenceNamedBy(row);
  }

  async verdictRows(epoch: number): Promise<Uint8Array | undefined> {
    return this.log.verdictRows(epoch);
  }

  async newEvidence(epoch: number): Promise<Uint8Array | undefined> {
    return this.log.newEvidence(epoch);
  }

  async latestTime(): Promise<number> {
    const row = this.database.get(
      `SELECT max(t) AS t FROM (SELECT max(received_at) AS t FROM scores
         UNION ALL SELECT max(enrolled_at) FROM nodes UNION ALL SELECT started_at FROM epoch)`,
    );
    return (row?.t as number | null | undefined) ?? 0;
  }

  async close(): Promise<void> {
    this.database.close();
  }
}
