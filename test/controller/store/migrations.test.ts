import { chmodSync, copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MIGRATIONS } from '../../../src/controller/store/migrations.ts';
import { SqliteStore } from '../../../src/controller/store/sqlite-store.ts';

const databases = join(import.meta.dirname, 'databases');

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'meshnet-migrations-'));
  path = join(directory, 'mesh.db');
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Names of tables and indices with what made them. */
function tablesOf(file: string): unknown[] {
  const database = new DatabaseSync(file);
  const rows = database.prepare('SELECT name, sql FROM sqlite_schema ORDER BY name').all();
  database.close();
  return rows;
}

test('there is a database of every version before this one', () => {
  const names = readdirSync(databases).filter((name) => name.endsWith('.db'));
  expect(names.sort()).toEqual(
    Array.from({ length: MIGRATIONS.length - 1 }, (_, i) => `version-${i + 1}.db`),
  );
});

describe.each(Array.from({ length: MIGRATIONS.length - 1 }, (_, i) => i + 1))(
  'a database of version %d',
  (version) => {
    let store: SqliteStore;
    beforeEach(() => {
      copyFileSync(join(databases, `version-${version}.db`), path);
      chmodSync(path, 0o600);
      store = new SqliteStore(path);
    });
    afterEach(() => store.close());

    test('still has its mesh, nodes, tokens and reservations', async () => {
      expect(await store.mesh()).toEqual(new Uint8Array(32).fill(7));
      const { nodes, removedKeys } = await store.roster();
      const [anna, bert, ...more] = nodes;
      expect(removedKeys).toContainEqual(new Uint8Array(32).fill(31));
      expect(more).toEqual([]);
      expect(anna).toMatchObject({
        nodeId: 'anna',
        wireguard: new Uint8Array(32).fill(10),
        signing: new Uint8Array(32).fill(11),
        sealing: new Uint8Array(32).fill(12),
        tunnelAddress: '10.10.0.2',
        endpoint: '192.0.2.1:51820',
        enrolledAt: 100_010,
      });
      expect(bert).toMatchObject({ nodeId: 'bert', tunnelAddress: '10.10.0.3', endpoint: null });
      expect(await store.openTokens(0)).toMatchObject([{ id: 'open', expiresAt: 1e6 }]);
      expect(await store.token('token-of-anna')).toMatchObject({ usesLeft: 0 });
      const again = { ...bert!, nodeId: 'carl', enrolledAt: 659_999 };
      expect(await store.enrol(again, 'open', [])).toEqual({
        outcome: 'node_id_reserved',
        reservedUntil: 660_000,
      });
    });

    test('still has its epoch, and another can follow', async () => {
      const current = (await store.currentEpoch())!;
      expect(current).toMatchObject({
        epoch: 2,
        version: 2,
        startedAt: 360_000,
        removed: ['carl'],
      });
      expect(current.decisions.map((one) => [one.nodeId, one.sinceEpoch])).toEqual([
        ['anna', 1],
        ['bert', 1],
      ]);
      expect(current.secret).toEqual(new Uint8Array(32).fill(2));
      expect(await store.commitEpoch(current, { ...current, epoch: 3, version: 3 })).toBe(true);
      expect((await store.verdictsOf('anna', 9)).map((one) => one.epoch).slice(0, 2)).toEqual([
        3, 2,
      ]);
    });

    test('still has its scores and sequences', async () => {
      const newest = { suite: 'alignment', signer: 'signer', score: 0.83, samples: 50 };
      const at = { observedAt: 201_010, receivedAt: 201_010 };
      expect(await store.scoresOf('anna')).toEqual([{ ...newest, ...at }]);
      const [evidence] = await store.evidenceOf('anna', 1);
      expect(evidence).toMatchObject({ ...newest, ...at, nodeId: 'anna', sequence: 2 });
      expect(
        JSON.parse(Buffer.from(evidence!.evidence.payload, 'base64').toString()),
      ).toMatchObject({ node_id: 'anna', score: 0.83 });
      const next = { ...evidence!, observedAt: 201_011, receivedAt: 201_011 };
      expect(await store.recordBenchmark({ ...next, sequence: 2 })).toMatchObject({ last: 2 });
      expect(await store.recordBenchmark({ ...next, sequence: 3 })).toEqual({ ok: true });
    });

    test('has the tables that a new one has', async () => {
      await store.close();
      const fresh = join(directory, 'fresh.db');
      await new SqliteStore(fresh).close();
      expect(tablesOf(path)).toEqual(tablesOf(fresh));
      store = new SqliteStore(path);
    });
  },
);

test.each([
  [
    'a newer meshnet',
    `PRAGMA user_version = ${MIGRATIONS.length + 1}`,
    /written by a newer meshnet/,
  ],
  ['another program', 'CREATE TABLE theirs (a)', /is no database of a meshnet controller/],
])('a database of %s is refused and stays as it is', (_who, sql, message) => {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
  chmodSync(path, 0o600);
  const before = readFileSync(path);
  expect(() => new SqliteStore(path)).toThrow(
    expect.objectContaining({ code: 'unknown_version', message: expect.stringMatching(message) }),
  );
  expect(readFileSync(path).equals(before)).toBe(true);
});

test('a migration that fails leaves the version before', () => {
  copyFileSync(join(databases, 'version-1.db'), path);
  chmodSync(path, 0o600);
  const database = new DatabaseSync(path);
  database.exec('CREATE TABLE verdict_history (theirs)');
  database.close();
  const before = tablesOf(path);
  expect(() => new SqliteStore(path)).toThrow(expect.objectContaining({ code: 'io' }));
  expect(tablesOf(path)).toEqual(before);
});
