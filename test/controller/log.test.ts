import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { Envelope } from '../../src/contract/envelope.ts';
import type { LeaseDocument } from '../../src/contract/epoch/lease.ts';
import { SIGNATURE_TAGS } from '../../src/contract/http-signature.ts';
import { readKeyFile } from '../../src/contract/key-file.ts';
import { PROTOCOL, PROTOCOL_PARAMETER } from '../../src/contract/protocol.ts';
import { type Leaf, parseLeaf } from '../../src/contract/record/leaf.ts';
import { logOrigin } from '../../src/contract/record/origin.ts';
import { type OpenedProof, openProof } from '../../src/contract/record/proof.ts';
import { decodeLines, parseVerdictRow } from '../../src/contract/record/verdict-row.ts';
import { checkVerdict } from '../../src/controller/record/check-proof.ts';
import { announceRestoredIn } from '../../src/controller/restored.ts';
import { nodeProvider as crypto } from '../../src/crypto/node.ts';
import { logKey, openCheckpoint, type SignedCheckpoint } from '../../src/record/checkpoint.ts';
import {
  consistencyProof,
  consistencyRanges,
  leafHash,
  MerkleTree,
  subtreesOf,
  verifyConsistency,
} from '../../src/record/merkle.ts';
import { decodeEntries, hashFromTile, tileOf, tilePath } from '../../src/record/tiles.ts';
import { call, payloadOf, TestMesh } from './support/test-mesh.ts';

/** Of the mesh whose controller runs. */
const publicKey = (): Uint8Array =>
  crypto.ed25519Public(readKeyFile(join(mesh.state, 'controller.key'))!);

const MINUTE = 60_000;
let mesh: TestMesh;
afterEach(() => mesh.stop());

async function read(path: string): Promise<Uint8Array> {
  const answer = await fetch(`${mesh.url}/log/${path}`);
  expect(answer.status, path).toBe(200);
  return new Uint8Array(await answer.arrayBuffer());
}

async function checkpoint(series = 0): Promise<SignedCheckpoint> {
  const { meshId } = mesh.controller;
  const key = logKey(logOrigin(meshId, series), publicKey());
  const opened = openCheckpoint(crypto, key, Buffer.from(await read('checkpoint')).toString());
  expect(opened).toBeDefined();
  return opened!;
}

/** Every leaf, of which the checkpoint is checked to be the root. */
async function leaves(series = 0): Promise<Leaf[]> {
  const { size, root } = await checkpoint(series);
  const contents: Uint8Array[] = [];
  for (let index = 0; index * 256 < size; index++) {
    const width = Math.min(256, size - index * 256);
    contents.push(...decodeEntries(await read(tilePath({ level: 'entries', index, width })))!);
  }
  const hashes = contents.map((content) => leafHash(crypto, content));
  expect(new MerkleTree(crypto, hashes).root).toEqual(root);
  return contents.map((content) => parseLeaf(content)!);
}

const events = (all: readonly Leaf[]): string[] =>
  all.map((leaf) => {
    if (leaf.event === 'asked') return `asked ${leaf.what}`;
    return 'node' in leaf ? `${leaf.event} ${leaf.node}` : leaf.event;
  });

test('what happens in a mesh is in its log, in that order', async () => {
  mesh = await TestMesh.start();
  const a = await mesh.enrol('a', 1);
  await mesh.enrol('b', 2);
  await mesh.report(0.9, a);
  await mesh.rotate();
  await mesh.admin('DELETE', '/v1/nodes/b');
  await mesh.admin('POST', '/v1/nodes/a/reset-sequence');
  await mesh.report(0.2, a);
  await mesh.clock.advance(MINUTE);
  const all = await leaves();
  expect(events(all)).toEqual([
    'policy',
    'started',
    'epoch',
    'asked issue_token',
    'enrolled a',
    'asked issue_token',
    'enrolled b',
    'asked rotate',
    'epoch',
    'asked remove',
    'removed b',
    'epoch',
    'asked reset_sequences',
    'sequences_reset a',
    'epoch',
  ]);
  expect(all.at(-1)).toMatchObject({
    epoch: 4,
    members: 0,
    denied: 1,
    removed: { count: 1, nodes: ['a'] },
    verdicts: { count: 1 },
  });
  const [policy] = all;
  for (const leaf of all)
    if (leaf.event === 'epoch')
      expect(leaf.policy).toBe(policy!.event === 'policy' && policy!.hash);
});

test('an endpoint is in the log when it changes, and only then', async () => {
  mesh = await TestMesh.start();
  const a = await mesh.enrol('a', 1);
  const before = (await leaves()).length;
  for (const endpoint of ['127.0.0.1:5555', '127.0.0.1:5555', '127.0.0.1:5556']) {
    expect((await mesh.move(a, endpoint)).status).toBe(200);
  }
  expect(events((await leaves()).slice(before))).toEqual([
    'endpoint_changed a',
    'endpoint_changed a',
  ]);
});

test('a start is in the log; a policy only if it is another', async () => {
  mesh = await TestMesh.start();
  await mesh.restart();
  expect(events(await leaves())).toEqual(['policy', 'started', 'epoch', 'started', 'epoch']);
  await mesh.restart({ settings: { epochS: 30 } });
  expect(events(await leaves()).slice(5)).toEqual(['policy', 'started', 'epoch']);
});

test('a restored backup goes on under another name, and says so in its first leaf', async () => {
  mesh = await TestMesh.start();
  const before = await leaves();
  await mesh.restart({}, 0, (state) => announceRestoredIn(state, mesh.clock.now()));
  const { epoch } = (await mesh.controller.services.store.currentEpoch())!;
  const series = epoch - 1;
  const after = await leaves(series);
  expect(after.slice(0, before.length)).toEqual(before);
  expect(after[before.length]).toMatchObject({ event: 'restored', epoch: series });
});

test('each row of an epoch is in the tree that its leaf names, with the evidence by hash', async () => {
  mesh = await TestMesh.start();
  const [a, b] = [await mesh.enrol('a', 1), await mesh.enrol('b', 2)];
  await mesh.report(0.9, a);
  await mesh.report(0.3, b);
  await mesh.rotate();
  const leaf = (await leaves()).at(-1)!;
  if (leaf.event !== 'epoch') throw new Error('no epoch');
  const lines = decodeLines(await read(`verdicts/${leaf.epoch}`))!;
  const tree = new MerkleTree(
    crypto,
    lines.map((line) => leafHash(crypto, line)),
  );
  expect(Buffer.from(tree.root).toString('base64')).toBe(leaf.verdicts.root);
  const rows = lines.map((line) => parseVerdictRow(line)!);
  expect(rows).toMatchObject([
    { node: 'a', allowed: true, reason: 'passed', passed: true, evidence: [{}] },
    { node: 'b', allowed: false, reason: 'score_below_threshold', evidence: [{}] },
  ]);
  expect(decodeLines(await read(`evidence/${leaf.epoch}`))).toHaveLength(2);
  expect((await call(`${mesh.url}/log/verdicts/99`)).status).toBe(404);
});

test('the tree grows through full tiles, and every checkpoint extends the one before', async () => {
  mesh = await TestMesh.start();
  let old = await checkpoint();
  const { store } = mesh.controller.services;
  const policy = { n: 0 };
  for (let i = 0; i < 300; i++)
    await store.recordStart(i, policy, Buffer.alloc(32).toString('base64'));
  for (let round = 0; round < 3; round++) {
    await mesh.rotate();
    const { size, root } = await checkpoint();
    const tiles = new Map<string, Uint8Array>();
    for (const subtree of subtreesOf(consistencyRanges(old.size, size))) {
      const path = tilePath(tileOf(subtree, size));
      tiles.set(path, await read(path));
    }
    const proof = consistencyProof(crypto, old.size, size, (subtree) =>
      hashFromTile(crypto, subtree, tiles.get(tilePath(tileOf(subtree, size)))!),
    );
    expect(verifyConsistency(crypto, old.size, old.root, size, root, proof)).toBe(true);
    old = { ...old, size, root };
  }
});

test('a full tile may be kept for ever, a checkpoint not at all; what is not there is not found', async () => {
  mesh = await TestMesh.start();
  const cached = async (path: string) =>
    (await call(`${mesh.url}/log/${path}`)).headers['cache-control'];
  expect(await cached('checkpoint')).toBe('no-cache');
  expect(await cached('tile/0/000.p/1')).toContain('immutable');
  for (const path of ['tile/0/000', 'tile/0/000.p/200', 'tile/9/000', 'tile/x', 'tile/0/001.p/1']) {
    expect((await call(`${mesh.url}/log/${path}`)).status, path).toBe(404);
  }
});

test('only members and this machine may read it', async () => {
  mesh = await TestMesh.start({ epochOnLoopback: false });
  for (const path of ['checkpoint', 'tile/0/000.p/1', 'verdicts/1', 'evidence/1']) {
    expect((await call(`${mesh.url}/log/${path}`)).status, path).toBe(401);
  }
});

test('a lease carries the checkpoint, and who has an older one is shown that it goes on', async () => {
  mesh = await TestMesh.start();
  const a = await mesh.enrol('a', 1);
  const url = `${mesh.url}/v1/lease/a?${PROTOCOL_PARAMETER}=${PROTOCOL}`;
  const told = async (): Promise<string> => {
    const headers = a.signed(url, SIGNATURE_TAGS.lease, mesh.clock.now());
    const envelope = JSON.parse((await call(url, { headers })).text) as Envelope;
    return payloadOf<LeaseDocument>(envelope).checkpoint;
  };
  const before = await told();
  await mesh.report(0.9, a);
  for (let i = 0; i < 3; i++) await mesh.rotate();
  const after = await told();
  const key = logKey(logOrigin(mesh.meshId, 0), publicKey());
  const [old, now] = [openCheckpoint(crypto, key, before)!, openCheckpoint(crypto, key, after)!];
  expect(now.size).toBe(old.size + 6);
  const asked = `${mesh.url}/log/consistency?old=${old.size}&size=${now.size}`;
  const { proof } = JSON.parse((await call(asked)).text) as { proof: string[] };
  const hashes = proof.map((hash) => Uint8Array.fromBase64(hash));
  expect(verifyConsistency(crypto, old.size, old.root, now.size, now.root, hashes)).toBe(true);
  expect((await call(`${mesh.url}/log/consistency?old=1&size=9999`)).status).toBe(422);
  expect((await call(`${mesh.url}/log/consistency?old=x&size=1`)).status).toBe(422);
});

test('a denied node is shown its own verdicts with their proof, and nothing of another that had its name', async () => {
  mesh = await TestMesh.start({ epochOnLoopback: false });
  const [a, b] = [await mesh.enrol('a', 1), await mesh.enrol('b', 2)];
  await mesh.report(0.9, a);
  await mesh.report(0.2, b);
  await mesh.rotate();
  const inForce = async () =>
    (JSON.parse((await mesh.admin('GET', '/v1/epoch')).text) as { epoch: number }).epoch;
  const old = await inForce();
  await mesh.admin('DELETE', '/v1/nodes/b');
  await mesh.clock.advance(6 * MINUTE); // until its name is free
  const again = await mesh.enrol('b', 3);
  await mesh.report(0.1, again);
  await mesh.rotate();
  const epoch = await inForce();
  const proofOf = (node: typeof b, of: number) => {
    const url = `${mesh.url}/log/proof/${of}`;
    return call(url, { headers: node.signed(url, SIGNATURE_TAGS.epoch, mesh.clock.now()) });
  };
  const own = await proofOf(again, epoch);
  expect(own.status).toBe(200);
  const opened = openProof(crypto, mesh.meshId, JSON.parse(own.text)) as OpenedProof;
  expect(opened).toMatchObject({ epoch: { epoch }, row: { node: 'b', allowed: false } });
  expect(opened.evidence).toHaveLength(1);
  expect(checkVerdict(crypto, mesh.meshId, opened)).toMatchObject({ allowed: false });
  expect((await proofOf(again, old)).status).toBe(404);
  expect((await proofOf(again, 9999)).status).toBe(404);
  expect((await proofOf(b, old)).status).toBe(403);
  expect((await call(`${mesh.url}/log/proof/${epoch}`)).status).toBe(401);
});
