import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PAYLOAD_TYPES } from '../../../src/contract/envelope.ts';
import { SqliteStore } from '../../../src/controller/store/sqlite-store.ts';
import { StoreError } from '../../../src/controller/store/store.ts';
import { epochOf, storeConformance } from './conformance.ts';

const { prepare: prepareAs } = DatabaseSync.prototype;

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'meshnet-store-'));
  path = join(directory, 'mesh.db');
});
afterEach(() => rmSync(directory, { recursive: true }));

storeConformance('SQLite in memory', (history) => new SqliteStore(':memory:', history));
storeConformance('an SQLite file', (history) => new SqliteStore(path, history));

/** True if the bytes are anywhere in the database or its journal. */
function onDisk(needle: Uint8Array, at = path): boolean {
  return [at, `${at}-wal`, `${at}-shm`].some(
    (file) => existsSync(file) && readFileSync(file).includes(needle),
  );
}

test('the secret of an epoch that is over is nowhere on the disk', async () => {
  const store = new SqliteStore(path);
  const secrets = Array.from({ length: 40 }, () => crypto.getRandomValues(new Uint8Array(32)));
  for (const [i, secret] of secrets.entries()) {
    // Of varying size, so that rows move between pages.
    const decision = { allowed: true, reason: 'x', sinceEpoch: 1 };
    const decisions = Array.from({ length: (i * 37) % 50 }, (_, n) => ({
      ...decision,
      nodeId: `a${n}`,
      explanation: 'y'.repeat(i * 10),
    }));
    const previous = i === 0 ? undefined : epochOf(i);
    await store.commitEpoch(previous, epochOf(i + 1, { secret, decisions }));
    expect(onDisk(secret)).toBe(true);
    expect(await store.scrub()).toBe(true);
    for (const old of secrets.slice(0, i)) expect(onDisk(old)).toBe(false);
    expect((await store.currentEpoch())!.secret).toEqual(secret);
  }
  await store.close();
});

test('to issue a token, to enrol with it and to forget what is over, no table is read from end to end', async () => {
  const store = new SqliteStore(path);
  await store.claim(new Uint8Array(32));
  const asked = new Set<string>();
  const prepare = vi.spyOn(DatabaseSync.prototype, 'prepare').mockImplementation(function (
    this: DatabaseSync,
    sql: string,
  ) {
    asked.add(sql);
    return prepareAs.call(this, sql);
  });
  try {
    const key = (value: number) => new Uint8Array(32).fill(value);
    const node = {
      nodeId: 'node-a',
      record: { payloadType: PAYLOAD_TYPES.keyRecord, payload: '', signatures: [] },
      wireguard: key(1),
      signing: key(2),
      sealing: key(3),
      endpoint: null,
      enrolledAt: 1,
    };
    const token = { id: 'one', secret: key(4), nodeId: null, expiresAt: 9, usesLeft: 1 };
    await store.addToken(token, 0);
    await store.openTokens(0);
    expect((await store.enrol(node, 'one', ['10.10.0.2'])).outcome).toBe('enrolled');
    await store.commitEpoch(undefined, epochOf(1));
  } finally {
    prepare.mockRestore();
  }
  await store.close();
  const database = new DatabaseSync(path);
  const plans = [...asked]
    .filter((sql) => /\b(tokens|nodes|reserved|node_keys)\b/.test(sql))
    .map((sql) => {
      const steps = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
      return [sql, steps.map(({ detail }) => detail as string)] as const;
    });
  database.close();
  expect(plans.length).toBeGreaterThan(6);
  for (const [sql, steps] of plans) {
    expect(
      steps.filter((step) => /^SCAN (?!CONSTANT)/.test(step)),
      sql,
    ).toEqual([]);
  }
});

test('a crash between commit and scrub leaves no old secret after the next start', async () => {
  const store = new SqliteStore(path);
  const old = crypto.getRandomValues(new Uint8Array(32));
  await store.commitEpoch(undefined, epochOf(1, { secret: old }));
  await store.commitEpoch(epochOf(1), epochOf(2));
  // What the disk holds at this moment is what a crash leaves.
  const crashed = join(directory, 'crashed.db');
  copyFileSync(path, crashed);
  copyFileSync(`${path}-wal`, `${crashed}-wal`);
  await store.close();
  chmodSync(crashed, 0o600);
  expect(onDisk(old, crashed)).toBe(true);
  const again = new SqliteStore(crashed);
  expect(onDisk(old, crashed)).toBe(false);
  expect((await again.currentEpoch())?.epoch).toBe(2);
  await again.close();
});

test('the secret of a used or withdrawn token is gone with the next epoch', async () => {
  const store = new SqliteStore(path);
  const secret = crypto.getRandomValues(new Uint8Array(32));
  await store.addToken({ id: 't', secret, nodeId: null, expiresAt: 9, usesLeft: 1 }, 0);
  expect(onDisk(secret)).toBe(true);
  await store.deleteToken('t');
  await store.commitEpoch(undefined, epochOf(1));
  await store.scrub();
  expect(onDisk(secret)).toBe(false);
  await store.close();
});

test('everything is there after closing and opening again', async () => {
  let store = new SqliteStore(path);
  await store.claim(new Uint8Array(32).fill(3));
  await store.commitEpoch(undefined, epochOf(4));
  await store.close();
  store = new SqliteStore(path);
  expect(await store.mesh()).toEqual(new Uint8Array(32).fill(3));
  expect(await store.currentEpoch()).toEqual(epochOf(4));
  await store.close();
});

test('database and journal are readable by the owner alone', async () => {
  const store = new SqliteStore(path);
  await store.commitEpoch(undefined, epochOf(1));
  for (const file of [path, `${path}-wal`]) expect(statSync(file).mode & 0o777).toBe(0o600);
  await store.close();
});

test.each([
  ['is readable by others', 'not_private', () => chmodSync(path, 0o640)],
  [
    'is a link to somewhere else',
    'not_private',
    () => {
      renameSync(path, `${path}.moved`);
      symlinkSync(`${path}.moved`, path);
    },
  ],
  [
    'has tables of another version',
    'unknown_version',
    () => {
      const database = new DatabaseSync(path);
      database.exec('PRAGMA user_version = 99');
      database.close();
    },
  ],
])('a file that %s is refused', async (_what, code, spoil) => {
  await new SqliteStore(path).close();
  spoil();
  expect(() => new SqliteStore(path)).toThrow(expect.objectContaining({ code }));
});

test('a second process on the same file is refused, and not when the first has closed', async () => {
  const store = new SqliteStore(path);
  expect(() => new SqliteStore(path)).toThrow(StoreError);
  expect(() => new SqliteStore(path)).toThrow(/another controller/);
  await store.close();
  await new SqliteStore(path).close();
});

test('what cannot be written is reported to everyone in the transaction, and no later one', async () => {
  const store = new SqliteStore(path);
  const token = { id: 't', secret: undefined, nodeId: null, expiresAt: 9, usesLeft: 1 };
  await store.addToken(token, 0);
  const results = await Promise.allSettled([
    store.addToken({ ...token, id: 'u' }, 0),
    store.addToken(token, 0), // the id is taken
  ]);
  expect(results.map((one) => one.status)).toEqual(['rejected', 'rejected']);
  expect(await store.token('u')).toBeUndefined();
  await store.addToken({ ...token, id: 'v' }, 0);
  expect(await store.token('v')).toBeDefined();
  await store.close();
});
