import type { Envelope } from '../../contract/envelope.ts';
import type { Row, SqliteDatabase } from './sqlite-database.ts';
import {
  type AddressPool,
  type EnrolResult,
  MAX_REMOVED_KEYS,
  type NodeRecord,
  type Places,
  type Removal,
  type Roster,
} from './store.ts';

/** Who is enrolled, and what is reserved for those who were. */
export class SqliteNodes {
  private readonly database: SqliteDatabase;
  /** See `freeAddress`. */
  private addressHint = 0;

  constructor(database: SqliteDatabase) {
    this.database = database;
  }

  roster(): Roster {
    const { database } = this;
    return {
      revision: this.revision(),
      nodes: database.all('SELECT * FROM nodes ORDER BY node_id').map(nodeOf),
      removedKeys: database
        .all('SELECT signing FROM removed_keys')
        .map((row) => row.signing as Uint8Array),
    };
  }

  revision(): number {
    return this.database.get('SELECT revision FROM roster')!.revision as number;
  }

  find(nodeId: string): NodeRecord | undefined {
    const row = this.database.get('SELECT * FROM nodes WHERE node_id = ?', nodeId);
    return row && nodeOf(row);
  }

  /** The token that enrolled a node. */
  tokenOf(nodeId: string): string | undefined {
    const row = this.database.get('SELECT token_id FROM nodes WHERE node_id = ?', nodeId);
    return (row?.token_id as string | null | undefined) ?? undefined;
  }

  /** Within a write. The roster's revision with that. */
  setPlaces(nodeId: string, { endpoint, candidates = [] }: Places): number {
    this.database.run(
      'UPDATE nodes SET endpoint = ?, candidates = ? WHERE node_id = ?',
      endpoint,
      candidates.join(' '),
      nodeId,
    );
    return this.nextRevision();
  }

  /** Within a write. */
  enrol(
    node: Omit<NodeRecord, 'tunnelAddress'>,
    tokenId: string,
    addresses: AddressPool,
  ): EnrolResult {
    this.forgetReservations(node.enrolledAt);
    const refused = this.refusal(node, tokenId);
    if (refused !== undefined) return refused;
    const tunnelAddress = this.freeAddress(addresses);
    if (tunnelAddress === undefined) return { outcome: 'addresses_exhausted' };
    const token = this.database.get(
      `UPDATE tokens SET uses_left = uses_left - 1, secret = iif(uses_left = 1, NULL, secret)
         WHERE id = ? RETURNING silence_s`,
      tokenId,
    );
    const silenceS = (token?.silence_s as number | null | undefined) ?? null;
    const enrolled = { ...node, tunnelAddress, ...(silenceS === null ? {} : { silenceS }) };
    this.insert(enrolled, tokenId);
    return { outcome: 'enrolled', node: enrolled, revision: this.nextRevision() };
  }

  /** Within a write. */
  remove({ nodeId, reservedUntil }: Removal): void {
    this.nextRevision();
    this.rememberRemoved(nodeId);
    this.database.run(
      'INSERT INTO reserved SELECT node_id, tunnel_address, ? FROM nodes WHERE node_id = ?',
      reservedUntil,
      nodeId,
    );
    this.database.run('DELETE FROM nodes WHERE node_id = ?', nodeId);
    this.database.run('DELETE FROM scores WHERE node_id = ?', nodeId);
  }

  /** Within a write. Keys and sequences are kept as long as the name: no old score outlives that. */
  forgetReservations(now: number): void {
    if (this.database.run('DELETE FROM reserved WHERE until <= ?', now) === 0) return;
    this.addressHint = 0; // one of them may have been the first
    for (const table of ['node_keys', 'sequences']) {
      this.database.run(
        `DELETE FROM ${table} WHERE node_id NOT IN
           (SELECT node_id FROM nodes UNION SELECT node_id FROM reserved)`,
      );
    }
  }

  private nextRevision(): number {
    const sql = 'UPDATE roster SET revision = revision + 1 RETURNING revision';
    return this.database.get(sql)!.revision as number;
  }

  private rememberRemoved(nodeId: string): void {
    this.database.run(
      'INSERT OR REPLACE INTO removed_keys SELECT NULL, signing FROM nodes WHERE node_id = ?',
      nodeId,
    );
    this.database.run(
      `DELETE FROM removed_keys WHERE id IN
         (SELECT id FROM removed_keys ORDER BY id DESC LIMIT -1 OFFSET ?)`,
      MAX_REMOVED_KEYS,
    );
  }

  private insert(node: NodeRecord, tokenId: string): void {
    this.database.run('DELETE FROM removed_keys WHERE signing = ?', node.signing);
    this.database.run(
      `INSERT INTO nodes (node_id, record, wireguard, signing, sealing, tunnel_address, endpoint,
         enrolled_at, candidates, silence_s, token_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      node.nodeId,
      JSON.stringify(node.record),
      node.wireguard,
      node.signing,
      node.sealing,
      node.tunnelAddress,
      node.endpoint,
      node.enrolledAt,
      node.candidates?.join(' ') ?? '',
      node.silenceS ?? null,
      tokenId,
    );
    for (const key of keysOf(node)) {
      this.database.run('INSERT INTO node_keys VALUES (?, ?)', key, node.nodeId);
    }
  }

  private refusal(
    node: Omit<NodeRecord, 'tunnelAddress'>,
    tokenId: string,
  ): EnrolResult | undefined {
    const { database } = this;
    if (!database.get('SELECT 1 FROM tokens WHERE id = ? AND uses_left IS NOT 0', tokenId)) {
      return { outcome: 'token_used' };
    }
    if (database.get('SELECT 1 FROM nodes WHERE node_id = ?', node.nodeId)) {
      return { outcome: 'node_exists' };
    }
    const reserved = database.get('SELECT until FROM reserved WHERE node_id = ?', node.nodeId);
    if (reserved) {
      return { outcome: 'node_id_reserved', reservedUntil: reserved.until as number };
    }
    for (const key of keysOf(node)) {
      if (database.get('SELECT 1 FROM node_keys WHERE public_key = ?', key)) {
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
      if (this.database.get(taken, address) !== undefined) continue;
      this.addressHint = i;
      return address;
    }
    if (this.addressHint === 0) return undefined;
    this.addressHint = 0; // another controller may have freed one
    return this.freeAddress(addresses);
  }
}

function keysOf(node: Pick<NodeRecord, 'wireguard' | 'signing' | 'sealing'>): Uint8Array[] {
  return [node.wireguard, node.signing, node.sealing];
}

function nodeOf(row: Row): NodeRecord {
  const candidates = (row.candidates as string).split(' ').filter((one) => one !== '');
  return {
    nodeId: row.node_id as string,
    record: JSON.parse(row.record as string) as Envelope,
    wireguard: row.wireguard as Uint8Array,
    signing: row.signing as Uint8Array,
    sealing: row.sealing as Uint8Array,
    tunnelAddress: row.tunnel_address as string,
    endpoint: row.endpoint as string | null,
    ...(candidates.length === 0 ? {} : { candidates }),
    enrolledAt: row.enrolled_at as number,
    ...(row.silence_s === null ? {} : { silenceS: row.silence_s as number }),
  };
}
