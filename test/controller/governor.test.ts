import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { SIGNATURE_TAGS } from '../../src/contract/http-signature.ts';
import type { Epoch } from '../../src/controller/epoch.ts';
import { announceRestoredIn } from '../../src/controller/restored.ts';
import type { GivenSettings } from '../../src/controller/settings.ts';
import { SimClock, settled } from './support/sim-clock.ts';
import { call, problemOf, TestMesh } from './support/test-mesh.ts';
import type { TestNode } from './support/test-node.ts';

const S = 1000;
const MIN = 60 * S;
let mesh: TestMesh;
afterEach(() => mesh.stop());

/** A mesh whose nodes a, b, ... are members. */
async function withMembers(names: string, settings: GivenSettings = {}): Promise<TestNode[]> {
  mesh = await TestMesh.start(settings);
  const nodes: TestNode[] = [];
  for (const [i, name] of [...names].entries()) nodes.push(await mesh.enrol(name, i + 1));
  await mesh.report(0.9, ...nodes);
  await mesh.rotate();
  expect(await mesh.members()).toEqual([...names]);
  return nodes;
}

/** Lets time pass while the nodes report every ten seconds. */
async function live(ms: number, score: number, ...nodes: TestNode[]): Promise<void> {
  for (let passed = 0; passed < ms; passed += 10 * S) {
    await mesh.report(score, ...nodes);
    await mesh.clock.advance(10 * S);
  }
}

test('epochs begin at whole multiples of the period, also when timers fire early', async () => {
  const clock = new SimClock();
  const starts: number[] = [];
  mesh = await TestMesh.start({}, clock);
  await mesh.controller.close();
  clock.early = 1;
  await mesh.open({
    onEvent: (event) => event.event === 'epoch_committed' && starts.push(event.started_at),
  });
  await clock.advance(99 * MIN);
  expect(starts.map((start) => start - starts[0]!)).toEqual(
    Array.from({ length: 100 }, (_, i) => i * MIN),
  );
});

test('a late timer does not shift the boundaries after it', async () => {
  mesh = await TestMesh.start();
  const { started_at } = await mesh.epoch();
  await mesh.clock.leap(67 * S);
  expect(await mesh.epoch()).toMatchObject({
    epoch: 2,
    started_at: started_at + 68 * S,
    next_rotation_at: started_at + 120 * S,
  });
});

test('a manual rotation starts a new epoch at once, and a whole period follows', async () => {
  await withMembers('a');
  await mesh.clock.advance(17 * S);
  const before = await mesh.epoch();
  await mesh.rotate();
  const after = await mesh.epoch();
  expect(after.epoch).toBe(before.epoch + 1);
  expect(after.started_at).toBe(mesh.clock.now());
  expect(after.next_rotation_at).toBe(after.started_at + MIN);
  await mesh.clock.advance(MIN - 1);
  expect((await mesh.epoch()).epoch).toBe(after.epoch);
  await mesh.clock.advance(1);
  expect((await mesh.epoch()).epoch).toBe(after.epoch + 1);
});

test('many rotations at once are as many epochs, each decided once', async () => {
  mesh = await TestMesh.start();
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => mesh.admin('POST', '/v1/rotate')),
  );
  const epochs = answers.map((answer) => (JSON.parse(answer.text) as { epoch: number }).epoch);
  expect(epochs.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i + 2));
});

test('a bad score excludes with the next epoch, a good one lets in again', async () => {
  const [a, b] = await withMembers('ab');
  const first = await mesh.epoch();
  await mesh.report(0.69, b!);
  expect(await mesh.members()).toEqual(['a', 'b']);
  await mesh.clock.advance(MIN);
  expect(await mesh.members()).toEqual(['a']);
  expect((await mesh.config(b!)).allowed).toBe(false);
  await mesh.report(0.7, a!, b!);
  await mesh.clock.advance(MIN);
  const { epoch, nodes } = await mesh.epoch();
  expect(nodes.map((node) => node.since_epoch)).toEqual([first.epoch, epoch]);
});

test('a silent node is out when its score is older than 120 s, and not before', async () => {
  const [a, b] = await withMembers('ab');
  const silentSince = mesh.clock.now();
  const seen: [number, string[]][] = [];
  for (let i = 0; i < 4; i++) {
    await live(MIN, 0.9, a!);
    seen.push([(mesh.clock.now() - silentSince) / S, await mesh.members()]);
  }
  // At 120 s exactly the bound is inclusive: out with the epoch after it.
  expect(seen).toEqual([
    [60, ['a', 'b']],
    [120, ['a', 'b']],
    [180, ['a']],
    [240, ['a']],
  ]);
  expect((await mesh.epoch()).nodes[1]).toMatchObject({ reason: 'score_too_old' });
  await mesh.report(0.9, b!);
});

test('a removed node is out in the same step', async () => {
  const [a, b] = await withMembers('ab');
  const before = await mesh.epoch();
  const answer = await mesh.admin('DELETE', '/v1/nodes/b');
  expect(JSON.parse(answer.text)).toEqual({ epoch: before.epoch + 1, version: before.version + 1 });
  expect((await mesh.config(a!)).peers).toEqual([]);
  expect((await mesh.configCall(b!)).status).toBe(403);
  expect((await mesh.epoch()).nodes.map((node) => node.node_id)).toEqual(['a']);
  expect((await mesh.admin('DELETE', '/v1/nodes/b')).status).toBe(404);
});

test('observing only, nobody is cut and the verdicts are shown and logged', async () => {
  await withMembers('ab', { observeOnly: true });
  await mesh.clock.advance(5 * MIN);
  const { observe_only, nodes } = await mesh.epoch();
  expect(observe_only).toBe(true);
  for (const node of nodes) {
    expect(node).toMatchObject({ allowed: true, reason: 'observed_score_too_old' });
    expect(node.explanation).toMatch(/^Stays because nobody is cut .* at most 120 s is fresh\.$/);
  }
  const line = mesh.log.findLast((one) => one.includes('epoch_committed'))!;
  expect(JSON.parse(line)).toMatchObject({ members: ['a', 'b'], would_deny: ['a', 'b'] });
});

test('status.json says who is in, who is out, and why', async () => {
  const [, b] = await withMembers('ab');
  await mesh.report(0.1, b!);
  await mesh.clock.advance(MIN);
  const shown = await mesh.epoch();
  const read = () => JSON.parse(readFileSync(join(mesh.state, 'status.json'), 'utf8'));
  const { epoch, version } = shown;
  await expect.poll(read).toMatchObject({ epoch, version }); // nobody waits for this file
  const status = read();
  expect(status.nodes[1]).toMatchObject({ node_id: 'b', allowed: false, score: 0.1 });
  expect(existsSync(join(mesh.state, 'status.json.new'))).toBe(false);
});

test('back after ten minutes, nobody is denied before they could report', async () => {
  const nodes = await withMembers('abc');
  const before = await mesh.epoch();
  await mesh.restart({}, 10 * MIN);
  expect(await mesh.epoch()).toMatchObject({ epoch: before.epoch });
  expect(await mesh.members()).toEqual(['a', 'b', 'c']);
  expect((await mesh.config(nodes[0]!)).peers).toHaveLength(2);
  expect((await mesh.admin('GET', '/readyz')).status).toBe(503);
  await mesh.report(0.9, nodes[0]!, nodes[1]!);
  expect((await mesh.epoch()).epoch).toBe(before.epoch);
  await mesh.report(0.9, nodes[2]!);
  expect((await mesh.epoch()).epoch).toBe(before.epoch + 1);
  expect(await mesh.members()).toEqual(['a', 'b', 'c']);
  const { started_at, next_rotation_at, nodes: shown } = await mesh.epoch();
  expect(next_rotation_at - started_at).toBe(MIN);
  expect(shown[0]!.since_epoch).toBe(before.epoch);
  expect((await mesh.admin('GET', '/readyz')).status).toBe(200);
});

test('who stays silent after a start is out after three report intervals', async () => {
  const [a] = await withMembers('ab');
  await mesh.restart({}, 10 * MIN);
  await mesh.report(0.9, a!);
  await mesh.clock.advance(29 * S - 1);
  expect(await mesh.members()).toEqual(['a', 'b']);
  await mesh.clock.advance(1);
  expect(await mesh.members()).toEqual(['a']);
});

test('who is measured rarely is excused for three of its own intervals, and the others are judged meanwhile', async () => {
  const suites = [
    { suite: 'alignment' },
    { suite: 'deep', maxAgeS: 600, reportIntervalS: 300, threshold: 0.5 },
  ];
  mesh = await TestMesh.start({ suites });
  const [a, b] = [await mesh.enrol('a', 1), await mesh.enrol('b', 2)];
  const deep = async (node: TestNode) => {
    const body = node.score(mesh.meshId, 0.9, mesh.clock.now(), { suite: 'deep' });
    expect((await mesh.post(node.nodeId, body)).status).toBe(202);
  };
  for (const node of [a, b]) await deep(node);
  await mesh.report(0.9, a, b);
  await mesh.rotate();
  expect(await mesh.members()).toEqual(['a', 'b']);
  await mesh.restart({}, 11 * MIN);
  await mesh.report(0.9, a);
  await mesh.report(0.3, b);
  await mesh.clock.advance(30 * S);
  const { nodes } = await mesh.epoch();
  expect(nodes.map((one) => one.reason)).toEqual(['awaiting_report', 'score_below_threshold']);
  for (let minutes = 0; minutes < 14; minutes++) {
    await mesh.report(0.9, a);
    await mesh.clock.advance(MIN);
    expect(await mesh.members(), `${minutes}`).toEqual(['a']);
  }
  await mesh.report(0.9, a);
  await mesh.clock.advance(MIN);
  expect(await mesh.members()).toEqual([]);
});

test('rotating or removing while members are waited for denies nobody else', async () => {
  const [a, , c] = await withMembers('abc');
  await mesh.report(0.2, c!);
  await mesh.restart({}, 10 * MIN);
  const before = await mesh.epoch();
  await mesh.rotate();
  // A bad score is not excused by the controller's absence.
  expect(await mesh.members()).toEqual(['a', 'b']);
  expect((await mesh.epoch()).nodes[0]).toMatchObject({ reason: 'awaiting_report' });
  expect((await mesh.admin('DELETE', '/v1/nodes/b')).status).toBe(200);
  expect(await mesh.members()).toEqual(['a']);
  await mesh.configCall(c!);
  await mesh.report(0.9, a!, c!);
  await mesh.clock.advance(30 * S);
  expect(await mesh.members()).toEqual(['a', 'c']);
  expect((await mesh.epoch()).nodes[0]!.since_epoch).toBeLessThanOrEqual(before.epoch);
});

test('the wait ends when every required suite was reported', async () => {
  const suites = ['alignment', 'health'].map((suite) => ({
    suite,
    minSamples: 1,
    signers: 'node' as const,
  }));
  mesh = await TestMesh.start({ suites });
  const a = await mesh.enrol('a', 1);
  const both = async () => {
    await mesh.report(0.9, a);
    const health = a.score(mesh.meshId, 0.9, mesh.clock.now(), { suite: 'health' });
    expect((await mesh.post('a', health)).status).toBe(202);
    await settled();
  };
  await both();
  await mesh.rotate();
  await mesh.restart({}, 10 * MIN);
  const { epoch } = await mesh.epoch();
  await mesh.report(0.9, a);
  expect((await mesh.epoch()).epoch).toBe(epoch);
  await both();
  expect(await mesh.epoch()).toMatchObject({ epoch: epoch + 1 });
  expect(await mesh.members()).toEqual(['a']);
});

test('a process that was stopped for ten minutes waits for its members as after a start', async () => {
  const nodes = await withMembers('ab');
  await mesh.clock.leap(10 * MIN);
  expect(await mesh.members()).toEqual(['a', 'b']);
  await mesh.report(0.9, ...nodes);
  expect(await mesh.members()).toEqual(['a', 'b']);
  expect((await mesh.admin('GET', '/readyz')).status).toBe(200);
});

test('a report that was on its way while the controller stood still does not end the wait', async () => {
  const nodes = await withMembers('ab');
  const inFlight = nodes.map((node) => node.score(mesh.meshId, 0.9, mesh.clock.now()));
  const before = await mesh.epoch();
  await mesh.clock.leap(10 * MIN);
  for (const [i, node] of nodes.entries()) {
    expect((await mesh.post(node.nodeId, inFlight[i])).status).toBe(202);
  }
  await settled();
  expect((await mesh.epoch()).epoch).toBe(before.epoch);
  expect(await mesh.members()).toEqual(['a', 'b']);
  await mesh.report(0.9, ...nodes);
  expect((await mesh.epoch()).epoch).toBe(before.epoch + 1);
  expect(await mesh.members()).toEqual(['a', 'b']);
});

test('a restored controller jumps ahead, voids tokens, breaks no membership by its absence', async () => {
  const nodes = await withMembers('ab');
  const token = await mesh.token();
  const before = await mesh.epoch();
  await mesh.restart({}, 10 * MIN, (state) => announceRestoredIn(state, mesh.clock.now()));
  // Nothing of the old epoch is given out: its keys may be known to who was denied since.
  const refused = await mesh.configCall(nodes[0]!);
  expect([refused.status, problemOf(refused).code]).toEqual([503, 'not_ready']);
  await mesh.report(0.9, ...nodes);
  const after = await mesh.epoch();
  expect(after.epoch).toBeGreaterThan(before.epoch + 999_999);
  expect(after.version).toBeGreaterThan(before.version + 999_999);
  expect(after.nodes.map((node) => node.since_epoch)).toEqual([after.epoch, after.epoch]);
  expect((await mesh.config(nodes[0]!)).peers).toHaveLength(1);
  expect((await mesh.admin('GET', '/v1/tokens')).text).toBe('{"tokens":[]}');
  const late = new (nodes[0]!.constructor as typeof TestNode)('late', 9).enrolment(token);
  const answer = await call(`${mesh.url}/v1/nodes`, { method: 'POST', body: late });
  expect(problemOf(answer).code).toBe('token_unknown');
});

test('a commit that fails is tried again; meanwhile no config of an epoch long over is served', async () => {
  const [a] = await withMembers('a');
  const { store } = mesh.controller.services;
  const broken = vi.spyOn(store, 'commitEpoch').mockRejectedValue(new Error('disk full'));
  const before = await mesh.epoch();
  await mesh.clock.advance(MIN);
  expect((await mesh.epoch()).epoch).toBe(before.epoch);
  expect((await mesh.configCall(a!)).status).toBe(200);
  await mesh.clock.advance(61 * S);
  const refused = await mesh.configCall(a!);
  expect([refused.status, problemOf(refused).code]).toEqual([503, 'not_ready']);
  expect(problemOf(await mesh.admin('GET', '/readyz')).detail).toContain('cannot be committed');
  broken.mockRestore();
  await mesh.report(0.9, a!);
  await mesh.clock.advance(S);
  expect((await mesh.epoch()).epoch).toBe(before.epoch + 1);
  expect((await mesh.configCall(a!)).status).toBe(200);
  expect((await mesh.admin('GET', '/readyz')).status).toBe(200);
});

test('a listener that throws stops nothing', async () => {
  mesh = await TestMesh.start();
  const throwing = () => {
    throw new Error('listener');
  };
  await mesh.restart({ onEvent: throwing });
  const { epoch } = await mesh.epoch();
  await mesh.clock.advance(3 * MIN);
  expect((await mesh.epoch()).epoch).toBe(epoch + 3);
});

test('an epoch that another controller committed is adopted, not decided twice', async () => {
  const [a] = await withMembers('ab');
  const { store } = mesh.controller.services;
  const current = (await store.currentEpoch())!;
  const theirs: Epoch = {
    ...current,
    epoch: current.epoch + 1,
    version: current.version + 1,
    startedAt: current.startedAt + MIN - 1,
    decisions: current.decisions.filter((one) => one.nodeId === 'a'),
    removed: ['b'],
    secret: new Uint8Array(32).fill(7),
  };
  await store.commitEpoch(current, theirs);
  await mesh.clock.advance(MIN);
  expect((await mesh.epoch()).epoch).toBe(theirs.epoch);
  expect(await mesh.members()).toEqual(['a']);
  expect((await mesh.config(a!)).peers).toEqual([]);
  await mesh.rotate();
  expect((await mesh.epoch()).epoch).toBe(theirs.epoch + 1);
});

test('sequences and epochs go on where they were after a restart', async () => {
  const [a] = await withMembers('a');
  const { epoch } = await mesh.epoch();
  await mesh.restart();
  a!.sequence -= 1;
  const replay = await mesh.post('a', a!.score(mesh.meshId, 0.9, mesh.clock.now()));
  expect(problemOf(replay)).toMatchObject({ code: 'sequence_replayed', last: 1 });
  await mesh.report(0.9, a!);
  expect((await mesh.epoch()).epoch).toBe(epoch + 1);
});

test('secrets of past epochs are nowhere in the state directory', async () => {
  await withMembers('ab');
  const token = await mesh.token();
  await mesh.clock.advance(5 * MIN);
  const files = ['mesh.db', 'mesh.db-wal', 'status.json'].map((name) => join(mesh.state, name));
  const found = mesh.randoms.filter((secret) =>
    files.some((file) => existsSync(file) && readFileSync(file).includes(secret)),
  );
  // The secret of the epoch in force, and id and secret of the token that can still be used.
  const current = (await mesh.controller.services.store.currentEpoch())!.secret!;
  const secret = Buffer.from(token.split('.')[1]!, 'base64url');
  expect(found.map((one) => Buffer.from(one).toString('hex')).sort()).toEqual(
    [Buffer.from(current), secret].map((one) => one.toString('hex')).sort(),
  );
});

test('nobody is a member before it has fetched a config, and the verdict says so', async () => {
  mesh = await TestMesh.start();
  const a = await mesh.enrol('a', 1);
  mesh.controller.services.presence.forget('a');
  await mesh.report(0.9, a);
  await mesh.rotate();
  expect((await mesh.epoch()).nodes[0]).toMatchObject({
    allowed: false,
    reason: 'no_config_fetched',
    score: 0.9,
  });
  // A request that a proxy has spoilt is none, and the answer names what arrived.
  const url = `${mesh.url}/v1/config/a`;
  const signed = a.signed(url, SIGNATURE_TAGS.config, mesh.clock.now());
  const spoilt = await call(url, { headers: { ...signed, host: 'upstream:8440' } });
  expect(problemOf(spoilt)).toMatchObject({ status: 401, code: 'signature_invalid' });
  expect(problemOf(spoilt).expected).toContain('authority upstream:8440 and path /v1/config/a');
  await mesh.report(0.9, a);
  await mesh.rotate();
  expect(await mesh.members()).toEqual([]);
  await mesh.config(a);
  await mesh.rotate();
  expect(await mesh.members()).toEqual(['a']);
  // A member stays one over a restart of the controller, whichever of the two it hears of first.
  await mesh.restart();
  await mesh.report(0.9, a);
  await mesh.clock.advance(MIN);
  expect(await mesh.members()).toEqual(['a']);
});

test('a removed node is told that it is, and until when its name is not given again', async () => {
  const [a, b] = await withMembers('ab');
  expect((await mesh.admin('DELETE', '/v1/nodes/b')).status).toBe(200);
  expect(problemOf(await mesh.configCall(b!))).toMatchObject({ status: 403, code: 'node_removed' });
  expect(problemOf(await mesh.configCall(b!)).detail).toContain('needs a join token');
  await mesh.restart(); // nor is that forgotten
  expect(problemOf(await mesh.configCall(b!))).toMatchObject({ code: 'node_removed' });
  const score = b!.score(mesh.meshId, 0.9, mesh.clock.now());
  expect(problemOf(await mesh.post('b', score)).detail).toContain('It was removed');
  expect((await mesh.configCall(a!)).status).toBe(200);
  const again = b!.enrolment(await mesh.token());
  const refused = await call(`${mesh.url}/v1/nodes`, { method: 'POST', body: again });
  expect(problemOf(refused)).toMatchObject({ code: 'node_id_reserved' });
  const free = /free again from (\S+) on/.exec(problemOf(refused).detail!)![1]!;
  expect(Date.parse(free)).toBeGreaterThan(mesh.clock.now());
  await mesh.clock.advance(Date.parse(free) - mesh.clock.now() + S);
  const taken = await call(`${mesh.url}/v1/nodes`, {
    method: 'POST',
    body: b!.enrolment(await mesh.token()),
  });
  expect(taken.status).toBe(201);
  await mesh.config(b!);
});
