import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { epochFiles } from '../../src/cli/epoch-files.ts';
import { ScoreThreads } from '../../src/cli/score-threads.ts';
import { toBase64 } from '../../src/contract/encoding.ts';
import { signingKeyId } from '../../src/contract/ids.ts';
import { envelopeHash } from '../../src/contract/receipt.ts';
import { type Leaf, parseLeaf } from '../../src/contract/record/leaf.ts';
import { type Epoch, nextEpoch, standingsOf } from '../../src/controller/epoch.ts';
import { judgeMesh } from '../../src/controller/policy/judge-mesh.ts';
import { EpochRecorder } from '../../src/controller/record/epoch-recorder.ts';
import { keysOfLog } from '../../src/controller/record/log-keys.ts';
import { policyHash, policyText } from '../../src/controller/record/policy-text.ts';
import { type EpochFiles, Replay } from '../../src/controller/record/replay.ts';
import { completeSettings, hostAddresses } from '../../src/controller/settings.ts';
import { SqliteStore } from '../../src/controller/store/sqlite-store.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { decodeEntries } from '../../src/record/tiles.ts';
import { TestNode } from '../controller/support/test-node.ts';
import { cpuMs } from '../lab/cpu.ts';
import { programOptions } from '../lab/programs.ts';

/**
 * `npm run bench -- record --nodes 100 --epochs 1440`: what the record of a mesh costs in an epoch, what
 * it takes on the disk in a day, and how long it takes to verify. A score of each node in each epoch.
 */
const values = programOptions({
  nodes: { type: 'string', default: '100,1000,10000' },
  epochs: { type: 'string', default: '5' },
});

const crypto = defaultProvider();
const random = (length: number) => new Uint8Array(randomBytes(length));
const MESH = new Uint8Array(32).fill(7);
const EPOCH_MS = 60_000;
const EPOCHS_PER_DAY = 86_400_000 / EPOCH_MS;
const START = 1_800_000_000_000;
const settings = completeSettings({ tunnelPrefix: '10.0.0.0/16' });

interface Figures {
  readonly nodes: number;
  readonly epochs: number;
  /** CPU of making rows and their tree, ms an epoch. */
  readonly recordMs: number;
  /** And of the transaction that commits the epoch with all its verdicts: with the record, and without. */
  readonly commitMs: number;
  readonly commitWithoutMs: number;
  /** Of the rows of an epoch, and as they are kept; of the latter, MB a day. */
  readonly rowBytes: number;
  readonly keptBytes: number;
  readonly megabytesPerDay: number;
  /** Of the verification of all of it: time and CPU. */
  readonly verifyS: number;
  readonly verifyCpuS: number;
  readonly confirmed: number;
}

async function measure(count: number, epochs: number, directory: string): Promise<Figures> {
  const store = new SqliteStore(join(directory, 'mesh.db'));
  const without = new SqliteStore(join(directory, 'without.db'));
  try {
    await store.claim(MESH);
    const text = policyText(settings);
    await store.recordStart(START, text, policyHash(crypto, text));
    const nodes = await enrolled(store, count);
    const keyIds = new Map(nodes.map((node) => [node.nodeId, signing(node)]));
    const recorder = new EpochRecorder(crypto, random);
    let [recordMs, commitMs, commitWithoutMs, rowBytes, keptBytes] = [0, 0, 0, 0, 0];
    let current: Epoch | undefined;
    for (let epoch = 1; epoch <= epochs; epoch++) {
      const startedAt = START + epoch * EPOCH_MS;
      await report(store, nodes, keyIds, startedAt - EPOCH_MS / 2);
      const state = {
        nodeIds: keyIds.keys(),
        scores: await store.scores(),
        signersOf: (nodeId: string) => () => [keyIds.get(nodeId)!],
        standings: standingsOf(current),
        isAwaited: () => false,
      };
      const moment = { now: startedAt, epochMs: EPOCH_MS, excused: new Map<string, string>() };
      const judged = judgeMesh(settings.policy, state, moment);
      const verdicts = new Map(
        [...judged].map(([id, one]) => [id, { ...one, scores: state.scores.get(id) ?? [] }]),
      );
      const secret = random(32);
      const next = nextEpoch({
        previous: current,
        verdicts,
        observeOnly: false,
        startedAt,
        secret,
      });
      let record!: ReturnType<EpochRecorder['record']>;
      recordMs += await cpuMs(async () => {
        record = recorder.record(current, next, verdicts, settings);
      });
      commitMs += await cpuMs(() => store.commitEpoch(current, next, { verdicts, record }));
      commitWithoutMs += await cpuMs(() => without.commitEpoch(current, next, { verdicts }));
      const lines = Buffer.concat(record.rows);
      rowBytes += lines.length;
      keptBytes += zstdCompressSync(lines).length;
      current = next;
    }
    const before = performance.now();
    let confirmed = 0;
    const verifyMs = await cpuMs(async () => {
      confirmed = await verified(store);
    });
    const each = (sum: number): number => Math.round((10 * sum) / epochs) / 10;
    return {
      nodes: count,
      epochs,
      recordMs: each(recordMs),
      commitMs: each(commitMs),
      commitWithoutMs: each(commitWithoutMs),
      rowBytes: Math.round(rowBytes / epochs),
      keptBytes: Math.round(keptBytes / epochs),
      megabytesPerDay: Math.round((EPOCHS_PER_DAY * keptBytes) / epochs / 1e5) / 10,
      verifyS: Math.round((performance.now() - before) / 100) / 10,
      verifyCpuS: Math.round(verifyMs / 100) / 10,
      confirmed,
    };
  } finally {
    await store.close();
    await without.close();
  }
}

async function enrolled(store: SqliteStore, count: number): Promise<TestNode[]> {
  const addresses = hostAddresses(settings.tunnelPrefix);
  const token = { secret: undefined, nodeId: null, expiresAt: START, usedBy: null, usesLeft: 1 };
  const all = Array.from({ length: count }, async (_, i) => {
    const node = new TestNode(`node-${String(i).padStart(5, '0')}`, i + 1);
    await store.addToken({ ...token, id: node.nodeId }, 0);
    const record = { nodeId: node.nodeId, record: node.record(MESH), ...node.publicKeys };
    await store.enrol({ ...record, endpoint: null, enrolledAt: START }, node.nodeId, addresses);
    return node;
  });
  return Promise.all(all);
}

function signing({ publicKeys }: TestNode): string {
  return signingKeyId(crypto, publicKeys.signing);
}

async function report(
  store: SqliteStore,
  nodes: readonly TestNode[],
  keyIds: ReadonlyMap<string, string>,
  at: number,
): Promise<void> {
  const each = nodes.map((node) => {
    const evidence = node.score(MESH, 0.84, at);
    return store.recordBenchmark({
      nodeId: node.nodeId,
      signer: keyIds.get(node.nodeId)!,
      evidence,
      hash: toBase64(envelopeHash(crypto, evidence)),
      suite: 'alignment',
      score: 0.84,
      samples: 50,
      sequence: (at - START) / 1000,
      observedAt: at,
      receivedAt: at,
    });
  });
  await Promise.all(each);
}

/** As `meshnet log verify` does; the verdicts that were made again. Throws if any is wrong. */
async function verified(store: SqliteStore): Promise<number> {
  const replay = new Replay(crypto, MESH);
  const leaves = await leavesOf(store);
  const threads = new ScoreThreads(keysOfLog(leaves));
  const files = epochFiles(leaves, threads, async (epoch) => [
    await store.verdictRows(epoch),
    await store.newEvidence(epoch),
  ]);
  try {
    for (const [index, leaf] of leaves.entries()) {
      await replay.leaf(index, leaf, async () => (await files.next()).value as EpochFiles);
    }
  } finally {
    await threads.close();
  }
  const { findings, tally } = replay;
  if (findings.length > 0) throw new Error(JSON.stringify(findings.slice(0, 3)));
  return tally.confirmed;
}

async function leavesOf(store: SqliteStore): Promise<Leaf[]> {
  const { size } = await store.logState();
  const leaves: Leaf[] = [];
  while (leaves.length < size) {
    const width = Math.min(256, size - leaves.length);
    const tile = { level: 'entries', index: leaves.length >> 8, width } as const;
    const entries = decodeEntries((await store.logTile(tile))!)!;
    leaves.push(...entries.map((entry) => parseLeaf(entry)!));
  }
  return leaves;
}

for (const count of values.nodes.split(',')) {
  const folder = mkdtempSync(join(tmpdir(), 'meshnet-bench-'));
  try {
    const figures = await measure(Number(count), Number(values.epochs), folder);
    process.stdout.write(`${JSON.stringify(figures)}\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
