import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signingKeyId } from '../../src/contract/ids.ts';
import { type Epoch, nextEpoch, standingsOf } from '../../src/controller/epoch.ts';
import { judgeMesh } from '../../src/controller/policy/judge-mesh.ts';
import { PLAIN_POLICY } from '../../src/controller/policy.ts';
import { hostAddresses } from '../../src/controller/settings.ts';
import { SqliteStore } from '../../src/controller/store/sqlite-store.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { TestNode } from '../controller/support/test-node.ts';
import { cpuMs } from '../lab/cpu.ts';
import { programOptions } from '../lab/programs.ts';

/** `npm run bench -- history --nodes 100,1000`: what the past of a mesh of that size takes on the disk. */
const values = programOptions({ nodes: { type: 'string', default: '100,1000,10000' } });

const crypto = defaultProvider();
const MESH = new Uint8Array(32).fill(7);
const EPOCHS = 5;
const EPOCH_MS = 60_000;
const REPORTS_PER_EPOCH = 6;
const EPOCHS_PER_DAY = 86_400_000 / EPOCH_MS;
const START = 1_800_000_000_000;

interface Figures {
  readonly nodes: number;
  readonly bytesPerScore: number;
  readonly bytesPerVerdict: number;
  readonly megabytesPerDay: number;
  /** CPU of taking a score, its signature not counted, microseconds. */
  readonly scoreUs: number;
  /** CPU of the transaction that commits an epoch, with all its verdicts, ms. */
  readonly commitMs: number;
  /** CPU of reading what a mean asks for, ms: the first time, and in every epoch after it. */
  readonly scoresFirstMs: number;
  readonly scoresSinceMs: number;
  /** CPU of reading the verdicts of the last five epochs back, ms. */
  readonly recentVerdictsMs: number;
}

/** A node's evidence is signed once: what is measured here is its size. */
async function enrolled(store: SqliteStore, count: number) {
  const addresses = hostAddresses('10.0.0.0/16');
  const token = { secret: undefined, nodeId: null, expiresAt: START, usesLeft: 1 };
  const all = Array.from({ length: count }, async (_, i) => {
    const nodeId = `node-${String(i).padStart(5, '0')}`;
    const node = new TestNode(nodeId, i + 1);
    await store.addToken({ ...token, id: nodeId }, 0);
    const record = { nodeId, record: node.record(MESH), ...node.publicKeys };
    await store.enrol({ ...record, endpoint: null, enrolledAt: START }, nodeId, addresses);
    const signer = signingKeyId(crypto, node.publicKeys.signing);
    return { nodeId, signer, evidence: node.score(MESH, 0.84, START) };
  });
  return Promise.all(all);
}

async function measure(count: number, path: string): Promise<Figures> {
  const store = new SqliteStore(path);
  try {
    await store.claim(MESH);
    const nodes = await enrolled(store, count);
    const signers = new Map(nodes.map((node) => [node.nodeId, node.signer]));
    let [scoreBytes, verdictBytes, commitMs, takingMs, firstMs, sinceMs] = [0, 0, 0, 0, 0, 0];
    let current: Epoch | undefined;
    for (let epoch = 1; epoch <= EPOCHS + 1; epoch++) {
      const startedAt = START + epoch * EPOCH_MS;
      const size = await sizeOf(store, path);
      let taking = 0;
      for (let report = 1; report <= REPORTS_PER_EPOCH; report++) {
        const receivedAt = startedAt - EPOCH_MS / report;
        const sequence = epoch * REPORTS_PER_EPOCH + report;
        const measured = { suite: 'alignment', score: 0.84, samples: 50, sequence };
        const at = { observedAt: receivedAt, receivedAt };
        const hash = 'a'.repeat(44);
        const take = (node: (typeof nodes)[number]) =>
          store.recordBenchmark({ ...node, ...measured, ...at, hash });
        taking += await cpuMs(() => Promise.all(nodes.map(take)));
      }
      const withScores = await sizeOf(store, path);
      const reading = await cpuMs(() => store.scoresSince(startedAt - 2 * EPOCH_MS));
      if (epoch === 1) firstMs = reading;
      else sinceMs += reading;
      const scores = await store.scores();
      const evidence = {
        nodeIds: nodes.map((node) => node.nodeId),
        scores,
        signersOf: (nodeId: string) => () => [signers.get(nodeId)!],
        standings: standingsOf(current),
        isAwaited: () => false,
      };
      const moment = { now: startedAt, epochMs: EPOCH_MS, excused: new Map<string, string>() };
      const verdicts = judgeMesh(PLAIN_POLICY, evidence, moment);
      const secret = new Uint8Array(32).fill(epoch);
      const next = nextEpoch({
        previous: current,
        verdicts,
        observeOnly: false,
        startedAt,
        secret,
      });
      const commit = await cpuMs(() => store.commitEpoch(current, next, { verdicts }));
      if (epoch > 1) {
        // The first one also makes room for the newest scores and the epoch in force.
        commitMs += commit;
        takingMs += taking;
        scoreBytes += withScores - size;
        verdictBytes += (await sizeOf(store, path)) - withScores;
      }
      current = next;
    }
    return {
      nodes: count,
      bytesPerScore: Math.round(scoreBytes / (count * EPOCHS * REPORTS_PER_EPOCH)),
      bytesPerVerdict: Math.round(verdictBytes / (count * EPOCHS)),
      megabytesPerDay: Math.round((EPOCHS_PER_DAY * (scoreBytes + verdictBytes)) / EPOCHS / 1e6),
      scoreUs: Math.round((1000 * takingMs) / (count * EPOCHS * REPORTS_PER_EPOCH)),
      commitMs: Math.round(commitMs / EPOCHS),
      scoresFirstMs: Math.round(firstMs),
      scoresSinceMs: Math.round(sinceMs / EPOCHS),
      recentVerdictsMs: Math.round(await cpuMs(() => store.recentVerdicts(EPOCHS))),
    };
  } finally {
    await store.close();
  }
}

async function sizeOf(store: SqliteStore, path: string): Promise<number> {
  await store.scrub();
  return statSync(path).size;
}

for (const count of values.nodes.split(',')) {
  const folder = mkdtempSync(join(tmpdir(), 'meshnet-bench-'));
  try {
    const figures = await measure(Number(count), join(folder, 'mesh.db'));
    process.stdout.write(`${JSON.stringify(figures)}\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
