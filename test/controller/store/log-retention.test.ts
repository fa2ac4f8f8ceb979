import { expect, test } from 'vitest';
import { toBase64 } from '../../../src/contract/encoding.ts';
import { verdictRowBytes } from '../../../src/contract/record/verdict-row.ts';
import type { RecordedEpoch } from '../../../src/controller/store/log-store.ts';
import { SqliteStore } from '../../../src/controller/store/sqlite-store.ts';
import { epochOf } from './conformance.ts';

const HOUR = 3_600_000;
const hash = (n: number): string => toBase64(new Uint8Array(32).fill(n));

function recorded(epoch: number, allowed: boolean, removed: readonly string[]): RecordedEpoch {
  const row = {
    node: 'a',
    allowed,
    reason: allowed ? 'passed' : 'score_below_threshold',
    passed: allowed,
    suites: [],
    standing: null,
    awaited: false,
    evidence: [{ hash: hash(epoch), received_at: epoch * HOUR }],
    salt: toBase64(new Uint8Array(16)),
  };
  const event = {
    event: 'epoch',
    epoch,
    version: epoch,
    header: null,
    policy: hash(0),
    members: allowed ? 1 : 0,
    denied: allowed ? 0 : 1,
    removed: { count: removed.length, nodes: removed },
    verdicts: { count: 1, root: hash(0) },
  } as const;
  return { event, policy: {}, rows: [verdictRowBytes(row)] };
}

test('rows go with time but for epochs that cut somebody, whose evidence stays, too; no leaf goes', async () => {
  const limits = { maxAgeMs: 2 * HOUR, maxBytes: 1e9, minAgeMs: 0 };
  const store = new SqliteStore(':memory:', limits);
  const token = { id: 't', secret: undefined, nodeId: null, expiresAt: HOUR, usesLeft: 1 };
  await store.addToken(token, 0);
  const keys = {
    wireguard: new Uint8Array(32).fill(1),
    signing: new Uint8Array(32).fill(2),
    sealing: new Uint8Array(32).fill(3),
  };
  const payload = { payloadType: 'x', payload: 'e30=', signatures: [] };
  const node = { nodeId: 'a', record: payload, ...keys, endpoint: null, enrolledAt: 1 };
  await store.enrol(node, 't', ['10.10.0.2']);
  await store.recordPolicy(0, {}, hash(0));
  let size = (await store.logState()).size;
  for (let epoch = 1; epoch <= 9; epoch++) {
    const at = epoch * HOUR;
    const score = {
      suite: 's',
      signer: 'k',
      score: 0.5,
      samples: 1,
      observedAt: at,
      receivedAt: at,
    };
    const evidence = { ...payload, payload: toBase64(Uint8Array.of(epoch)) };
    await store.recordBenchmark({
      nodeId: 'a',
      sequence: epoch,
      ...score,
      evidence,
      hash: hash(epoch),
    });
    const isCut = epoch === 3;
    const record = recorded(epoch, !isCut, isCut ? ['a'] : []);
    const before = epoch === 1 ? undefined : epochOf(epoch - 1);
    const next = epochOf(epoch, { startedAt: at });
    const { revision } = await store.roster();
    expect(await store.commitEpoch(before, next, { record, revision })).toBe(true);
    expect((await store.logState()).size).toBe(++size);
    await store.scrub();
  }
  const kept: number[] = [];
  for (let epoch = 1; epoch <= 9; epoch++) if (await store.verdictRows(epoch)) kept.push(epoch);
  expect(kept).toEqual([3, 7, 8, 9]);
  const evidence = new TextDecoder().decode(await store.newEvidence(3));
  expect(JSON.parse(evidence)).toMatchObject({ payload: toBase64(Uint8Array.of(3)) });
  await store.close();
});
