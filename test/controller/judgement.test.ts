import { afterEach, expect, test } from 'vitest';
import { type Leaf, parseLeaf } from '../../src/contract/record/leaf.ts';
import type { ControllerEvent } from '../../src/controller/events.ts';
import { DEFAULT_POLICY } from '../../src/controller/policy/default-policy.ts';
import { Replay } from '../../src/controller/record/replay.ts';
import type { GivenSettings } from '../../src/controller/settings.ts';
import { nodeProvider } from '../../src/crypto/node.ts';
import { defaultProvider } from '../../src/crypto/select.ts';
import { decodeEntries } from '../../src/record/tiles.ts';
import { LogWatch } from './support/log-watch.ts';
import { call, problemOf, TestMesh } from './support/test-mesh.ts';
import type { TestNode } from './support/test-node.ts';

/** What judgement does in a whole controller: store, boundaries, restarts, what is shown. */

const S = 1000;
const MIN = 60 * S;
const BRAKE = { maxCut: 0.25, freezeAbove: 0.3, freezeEpochs: 3, minMembers: 0 };
let mesh: TestMesh;
afterEach(() => mesh.stop());

async function withMembers(count: number, settings: GivenSettings): Promise<TestNode[]> {
  mesh = await TestMesh.start(settings);
  const nodes: TestNode[] = [];
  for (let i = 0; i < count; i++) nodes.push(await mesh.enrol(`n${i}`, i + 1));
  await mesh.report(0.9, ...nodes);
  await mesh.rotate();
  expect(await mesh.members()).toHaveLength(count);
  return nodes;
}

/** An epoch passes in which everybody reports `score` every ten seconds. */
async function epochOf(score: number, ...nodes: TestNode[]): Promise<void> {
  for (let passed = 0; passed < MIN; passed += 10 * S) {
    await mesh.report(score, ...nodes);
    await mesh.clock.advance(10 * S);
  }
}

const only = (fields: NonNullable<GivenSettings['suites']>[number]): GivenSettings => ({
  suites: [fields],
});

test('the brake is said, shown, and the same after a restart; then the worst go', async () => {
  const nodes = await withMembers(8, { ...only({ suite: 'alignment' }), brake: BRAKE });
  const events: ControllerEvent[] = [];
  await mesh.controller.close();
  await mesh.open({ onEvent: (event) => event.event === 'brake' && events.push(event) });
  await mesh.report(0.9, ...nodes); // it waits for everybody, then decides
  await epochOf(0.3, ...nodes);
  expect(await mesh.members()).toHaveLength(8);
  const epoch = await mesh.epoch();
  expect(epoch.brake).toMatchObject({ phase: 'frozen', cut: 0 });
  expect(epoch.brake!.held).toHaveLength(8);
  expect(epoch.brake!.until! - epoch.brake!.since!).toBe(3 * MIN);
  expect(epoch.nodes[0]).toMatchObject({ allowed: true, reason: 'held_by_brake' });
  expect(events).toMatchObject([{ event: 'brake', phase: 'frozen', cut: 0 }]);
  const { text } = await call(`${mesh.controller.url}/metrics`);
  expect(text).toContain('meshnet_brake 2\n');
  expect(text).toContain('meshnet_brake_held 8\n');

  await mesh.controller.close();
  await mesh.open();
  await mesh.report(0.3, ...nodes);
  expect((await mesh.epoch()).brake).toMatchObject({ phase: 'frozen', since: epoch.brake!.since });
  await epochOf(0.3, ...nodes);
  await epochOf(0.3, ...nodes);
  await epochOf(0.3, ...nodes);
  expect((await mesh.epoch()).brake).toMatchObject({ phase: 'capped' });
  expect((await mesh.members()).length).toBeLessThan(8);
});

test("an operator's word: whom the brake holds is out at once, and it works again after that", async () => {
  const policy = { ...only({ suite: 'alignment' }), brake: BRAKE };
  const nodes = await withMembers(8, policy);
  const watch = new LogWatch(() => mesh.url, mesh.meshId);
  const events: ControllerEvent[] = [];
  await mesh.controller.close();
  await mesh.open({ onEvent: (event) => event.event.startsWith('brake') && events.push(event) });
  await mesh.report(0.9, ...nodes);
  expect(problemOf(await mesh.admin('POST', '/v1/brake/release'))).toMatchObject({
    code: 'brake_holds_nobody',
  });
  await mesh.report(0.9, ...nodes.slice(0, 4));
  await mesh.report(0.3, ...nodes.slice(4));
  await mesh.clock.advance(MIN);
  expect((await mesh.epoch()).brake).toMatchObject({ phase: 'frozen' });
  const removed = ['n4', 'n5', 'n6', 'n7'];
  const { text } = await mesh.admin('POST', '/v1/brake/release');
  expect(JSON.parse(text)).toMatchObject({ removed });
  expect(await mesh.members()).toEqual(['n0', 'n1', 'n2', 'n3']);
  expect((await mesh.epoch()).brake).toBeNull();
  expect(events.map((one) => one.event)).toEqual(['brake', 'brake', 'brake_released']);
  expect(events.slice(1)).toMatchObject([{ phase: 'open' }, { removed }]);

  await mesh.report(0.3, ...nodes.slice(0, 4));
  await mesh.clock.advance(MIN);
  expect((await mesh.epoch()).brake).toMatchObject({ phase: 'frozen' });
  expect(await mesh.members()).toHaveLength(4);
  expect(await watch.look()).toEqual([]); // the log says that there was no brake in that epoch

  const leaves = await logLeaves();
  expect(leaves.filter((leaf) => leaf.event === 'brake')).toMatchObject([
    { held: { count: 4, nodes: removed } },
    { held: { count: 0, nodes: [] } },
    { held: { count: 4, nodes: ['n0', 'n1', 'n2', 'n3'] } },
  ]);
  expect(await findingsOf(leaves)).toEqual([]);
  const left = leaves.filter((leaf) => leaf.event !== 'brake');
  expect(await findingsOf(left)).toContain('comes before it is said whom the brake holds');
  const others = leaves.map((leaf) =>
    leaf.event === 'brake' ? { ...leaf, held: { count: 1, nodes: ['n0'] } } : leaf,
  );
  expect(await findingsOf(others)).toContain('names others as held than the rows of its epoch');
  const late = leaves.map((leaf) => (leaf.event === 'brake' ? { ...leaf, epoch: 1 } : leaf));
  expect(await findingsOf(late)).toContain('is not about the epoch before it');
  const pruned = await findingsOf(leaves, () => undefined);
  expect(pruned).toContain('is about rows, which are kept for ever, that are missing');
});

/** All of them: there are few. */
async function logLeaves(): Promise<Leaf[]> {
  const { store } = mesh.controller.services;
  const { size: width } = await store.logState();
  const bytes = await store.logTile({ level: 'entries', index: 0, width });
  return decodeEntries(bytes!)!.map((content) => parseLeaf(content)!);
}

/** What is found wrong with these leaves; of the evidence nothing is known. */
async function findingsOf(
  leaves: readonly Leaf[],
  kept = (rows: Uint8Array | undefined) => rows,
): Promise<string[]> {
  const { store, meshId } = mesh.controller.services;
  const replay = new Replay(nodeProvider, meshId);
  for (const [index, leaf] of leaves.entries()) {
    const rowsOf = async (epoch: number) => kept(await store.verdictRows(epoch));
    await replay.leaf(index, leaf, async (epoch) => ({ rows: await rowsOf(epoch), scores: [] }));
  }
  const past = 'is judged from another past than the epochs before left it';
  return replay.findings.map(({ what }) => what).filter((what) => what !== past);
}

test('a policy without a brake ends what it held, and that is said', async () => {
  const nodes = await withMembers(8, { ...only({ suite: 'alignment' }), brake: BRAKE });
  const events: ControllerEvent[] = [];
  await mesh.controller.close();
  await mesh.open({ onEvent: (event) => event.event === 'brake' && events.push(event) });
  await mesh.report(0.9, ...nodes);
  await epochOf(0.3, ...nodes);
  const document = { version: 2, suites: [{ suite: 'alignment' }], brake: null };
  const change = { document, dry_run: false, confirmed: true };
  expect((await mesh.admin('PUT', '/v1/policy', change)).status).toBe(200);
  await mesh.rotate();
  expect(await mesh.members()).toEqual([]);
  expect(events).toMatchObject([{ phase: 'frozen' }, { phase: 'open' }]);
});

test('k of n epochs and probation: what was counted, and when it may be back', async () => {
  const cut = { kind: 'k_of_n', of: 3, failed: 2 } as const;
  const [a, b] = await withMembers(2, only({ suite: 'alignment', cut, back: 2, readmit: 0.75 }));
  await epochOf(0.64, a!);
  await mesh.report(0.9, b!);
  expect((await mesh.epoch()).nodes[0]).toMatchObject({ allowed: true, reason: 'tolerated' });
  await epochOf(0.71, a!);
  await mesh.report(0.9, b!);
  await epochOf(0.66, a!);
  const { nodes, epoch } = await mesh.epoch();
  expect(nodes[0]).toMatchObject({
    allowed: false,
    reason: 'score_below_threshold',
    explanation:
      'alignment score 0.66 is below the threshold of 0.70; failed 2 of the last 3 epochs: 0.64, 0.71, 0.66.',
    back_in_epochs: 2,
    rules: [
      'score >= 0.70 and age <= 120 s; cut after 2 of 3 epochs failed; back after 2 in a row of at least 0.75',
    ],
  });

  await mesh.controller.close(); // what was counted is on the disk
  await mesh.open();
  await mesh.report(0.9, a!, b!);
  expect((await mesh.epoch()).nodes[0]).toMatchObject({
    reason: 'on_probation',
    explanation: expect.stringContaining(`Cut in epoch ${epoch}: alignment score 0.66`),
    back_in_epochs: 1,
  });
  await mesh.config(a!);
  await epochOf(0.9, a!, b!);
  expect(await mesh.members()).toEqual(['n0', 'n1']);
});

test('rotations by hand count no score twice', async () => {
  const cut = { kind: 'k_of_n', of: 3, failed: 2 } as const;
  const [a] = await withMembers(1, only({ suite: 'alignment', cut }));
  await epochOf(0.6, a!);
  for (let i = 0; i < 5; i++) {
    await mesh.report(0.6, a!);
    await mesh.rotate();
  }
  expect(await mesh.members()).toEqual(['n0']);
  await epochOf(0.6, a!);
  expect(await mesh.members()).toEqual([]);
});

test('a good report just before each boundary does not keep a bad node in where means are judged', async () => {
  const [a] = await withMembers(1, only({ suite: 'alignment', score: 'mean' }));
  await mesh.clock.advance(5 * S);
  for (let epoch = 0; epoch < 2; epoch++) {
    for (let second = 0; second < 50; second += 10) {
      await mesh.report(0.3, a!);
      await mesh.clock.advance(10 * S);
    }
    await mesh.clock.advance(4 * S);
    await mesh.report(0.95, a!);
    await mesh.clock.advance(6 * S);
  }
  expect((await mesh.epoch()).nodes[0]).toMatchObject({ allowed: false });
});

test('how each evaluator stands to the median is shown', async () => {
  const seeds = [21, 22, 23].map((seed) => new Uint8Array(32).fill(seed));
  mesh = await TestMesh.start({
    ...only({ suite: 'alignment', signers: 'evaluators' }),
    evaluators: seeds.map((seed) => defaultProvider().ed25519Public(seed)),
  });
  const node = await mesh.enrol('n0', 1);
  for (const [i, seed] of seeds.entries()) {
    const body = node.score(mesh.meshId, [0.8, 0.81, 0.95][i]!, mesh.clock.now(), {}, seed);
    expect((await mesh.post('n0', body)).status).toBe(202);
  }
  const { evaluators: shown } = await mesh.epoch();
  expect(shown.map((one) => one.bias?.toFixed(2))).toEqual(['-0.01', '0.00', '0.14']);
  expect(shown[2]).toMatchObject({ compared: 1, last_s: 0 });
  const { text } = await call(`${mesh.controller.url}/metrics`);
  expect(text).toMatch(/meshnet_evaluator_bias\{evaluator="[^"]+"\} 0\.1/);
});

test('the log confirms what means, sums, the brake and a policy set meanwhile decided', async () => {
  const nodes = await withMembers(6, DEFAULT_POLICY as GivenSettings);
  const watch = new LogWatch(() => mesh.url, mesh.meshId);
  await epochOf(0.85, ...nodes);
  await epochOf(0.72, ...nodes.slice(0, 1)); // the others are silent
  await epochOf(0.4, ...nodes);
  await epochOf(0.4, ...nodes);
  const document = { version: 2, suites: [{ suite: 'alignment', cut: { of: 3, failed: 2 } }] };
  const change = { document, dry_run: false, confirmed: true };
  expect((await mesh.admin('PUT', '/v1/policy', change)).status).toBe(200);
  await epochOf(0.9, ...nodes);
  await epochOf(0.9, ...nodes);
  expect(await watch.look()).toEqual([]);
  expect(watch.confirmed).toBeGreaterThan(30);
});
