import type { Envelope } from '../../../../src/contract/envelope.ts';
import { PAYLOAD_TYPES } from '../../../../src/contract/envelope.ts';
import { SqliteStore } from '../../../../src/controller/store/sqlite-store.ts';
import type { NodeRecord } from '../../../../src/controller/store/store.ts';

/**
 * Makes the database of a small mesh with the tables of the checkout that it is run in:
 * `node test/controller/store/databases/make.ts FILE`. Run it before the tables change and keep the
 * file beside this one as `version-N.db`: migrations.test.ts opens them all.
 */
const bytes = (value: number) => new Uint8Array(32).fill(value);

function envelope(payloadType: Envelope['payloadType'], payload: object): Envelope {
  const text = Buffer.from(JSON.stringify(payload)).toString('base64');
  return { payloadType, payload: text, signatures: [{ keyid: 'signer', sig: 'c2ln' }] };
}

async function enrol(store: SqliteStore, nodeId: string, key: number): Promise<void> {
  const tokenId = `token-of-${nodeId}`;
  const token = { id: tokenId, secret: bytes(9), nodeId, expiresAt: 1e6, usesLeft: 1 };
  await store.addToken(token, 0);
  const node: Omit<NodeRecord, 'tunnelAddress'> = {
    nodeId,
    record: envelope(PAYLOAD_TYPES.keyRecord, { node_id: nodeId }),
    wireguard: bytes(key),
    signing: bytes(key + 1),
    sealing: bytes(key + 2),
    endpoint: nodeId === 'anna' ? '192.0.2.1:51820' : null,
    enrolledAt: 100_000 + key,
  };
  const pool = ['10.10.0.2', '10.10.0.3', '10.10.0.4'];
  const { outcome } = await store.enrol(node, tokenId, pool);
  if (outcome !== 'enrolled') throw new Error(outcome);
  for (const [i, score] of [0.61, 0.83].entries()) {
    const at = 200_000 + 1000 * i + key;
    const measured = { suite: 'alignment', score, samples: 50, sequence: i + 1, observedAt: at };
    const evidence = envelope(PAYLOAD_TYPES.benchmark, { node_id: nodeId, ...measured });
    await store.recordBenchmark({
      nodeId,
      signer: 'signer',
      receivedAt: at,
      evidence,
      ...measured,
    });
  }
}

const path = process.argv[2];
if (path === undefined) throw new Error('usage: node test/controller/store/databases/make.ts FILE');
const store = new SqliteStore(path);
await store.claim(bytes(7));
await enrol(store, 'anna', 10);
await enrol(store, 'bert', 20);
await enrol(store, 'carl', 30);
const open = { id: 'open', secret: bytes(8), nodeId: null, expiresAt: 1e6, usesLeft: 1 };
await store.addToken(open, 0);
const decision = { reason: 'passed', explanation: 'Passed.', allowed: true, sinceEpoch: 1 };
const decisions = ['anna', 'bert', 'carl'].map((nodeId) => ({ nodeId, ...decision }));
const first = { epoch: 1, version: 1, startedAt: 300_000, decisions, removed: [] };
await store.commitEpoch(undefined, { ...first, secret: bytes(1) });
const second = {
  epoch: 2,
  version: 2,
  startedAt: 360_000,
  decisions: decisions.slice(0, 2),
  removed: ['carl'],
  secret: bytes(2),
};
await store.commitEpoch(first, second, { removals: [{ nodeId: 'carl', reservedUntil: 660_000 }] });
await store.scrub();
await store.close();
