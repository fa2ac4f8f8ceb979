import { expect, test } from 'vitest';
import type { EpochDocument } from '../../src/contract/epoch.ts';
import { type Change, changeVerb, DemoModel } from '../../src/demo/model.ts';
import { coloursWanted } from '../../src/demo/outputs.ts';
import { demoTimes, nodePlans } from '../../src/demo/scenario.ts';
import { countdown, renderScreen, sparkline } from '../../src/demo/screen.ts';

const NODES = ['node-a', 'node-b', 'node-c'];

function epochDocument(epoch: number, members: readonly string[]): EpochDocument {
  return {
    mesh_id: '',
    epoch,
    version: epoch,
    now: 1_000_000,
    started_at: 1_000_000,
    next_rotation_at: 1_004_000,
    epoch_s: 10,
    threshold: 0.7,
    freshness_s: 20,
    not_ready: null,
    brake: null,
    witnesses: null,
    evaluators: [],
    observe_only: false,
    rotations: epoch,
    exclusions: 0,
    nodes: NODES.map((node_id, i) => ({
      node_id,
      tunnel_address: `10.10.0.${i + 2}`,
      allowed: members.includes(node_id),
      reason: 'because',
      explanation: `of ${node_id}`,
      score: i === 2 ? null : 0.9,
      age_s: i === 2 ? null : 1.5,
      since_epoch: null,
      suites: [],
      rules: [],
      back_in_epochs: null,
    })),
  };
}

const probe = (node: string, ok: boolean) =>
  ({
    event: 'probe',
    node,
    address: '',
    ok,
    rtt_ms: ok ? 2 : null,
    error: null,
    allowed: ok,
  }) as const;

test('echoes are counted by ordered pair and epoch, verdicts when they change', () => {
  const model = new DemoModel(NODES, 0);
  expect(model.onEpoch(epochDocument(1, []), 100).map(({ allowed }) => allowed)).toEqual([
    false,
    false,
    false,
  ]);
  model.onAgent('node-a', probe('node-b', false), 200);
  const changes = model.onEpoch(epochDocument(2, ['node-a', 'node-b']), 5000);
  expect(changes.map(({ node }) => node)).toEqual(['node-a', 'node-b']);
  expect(model.onEpoch(epochDocument(2, ['node-a', 'node-b']), 5100)).toEqual([]);
  model.onAgent('node-a', probe('node-b', true), 5200);
  model.onAgent('node-c', probe('node-a', false), 5300);
  const summary = model.summary('linux', 'steady', 10);
  expect(summary).toMatchObject({
    event: 'summary',
    members: ['node-a', 'node-b'],
    denied: ['node-c'],
    leaks: 0,
    first_packet_s: 5.2,
    rotations: 2,
  });
  expect(summary.packets['node-a>node-b']).toEqual({ sent: 2, received: 1 });
  expect(summary.packets['node-c>node-b']).toEqual({ sent: 0, received: 0 });
  expect(summary.epochs[1]!.packets['node-a>node-b']).toEqual({ sent: 1, received: 1 });
});

test('a node that is judged and not let in says so once, and why it is out at the end', () => {
  const model = new DemoModel(NODES, 0);
  const judged = (epoch: number, reason: string): EpochDocument => {
    const document = epochDocument(epoch, ['node-a', 'node-b']);
    const nodes = document.nodes.map((node) => ({ ...node, reason, rules: ['score >= 0.7'] }));
    return { ...document, nodes };
  };
  const verbs = (changes: readonly Change[]) =>
    changes.map((change) => `${change.node} ${changeVerb(change)}`);
  expect(verbs(model.onEpoch(judged(1, 'not_yet_decided'), 0))).toContain('node-c waits');
  expect(verbs(model.onEpoch(judged(2, 'score_below_threshold'), 0))).toEqual(['node-c kept out']);
  expect(model.onEpoch(judged(3, 'score_below_threshold'), 0)).toEqual([]);
  const { why } = model.summary('linux', 'steady', 10);
  expect(why).toEqual({ 'node-c': 'of node-c Rule: score >= 0.7.' });
  expect(verbs(model.onEpoch(epochDocument(4, ['node-b']), 0))).toEqual(['node-a shut out']);
});

test('an answered echo of a node that has been out for over a second is a leak', () => {
  const model = new DemoModel(NODES, 0);
  model.onEpoch(epochDocument(1, NODES), 0);
  model.onEpoch(epochDocument(2, ['node-a', 'node-b']), 10_000);
  model.onAgent('node-a', probe('node-c', true), 10_500); // was under way
  expect(model.leaks).toBe(0);
  model.onAgent('node-a', probe('node-c', true), 11_500);
  model.onAgent('node-c', probe('node-a', true), 11_500);
  model.onAgent('node-a', probe('node-b', true), 11_500);
  model.onEpoch(epochDocument(2, ['node-a', 'node-b']), 11_600);
  expect(model.leaks).toBe(2);
});

test('an echo of a node that was let in a moment before the demo heard of it is no leak', () => {
  const model = new DemoModel(NODES, 0);
  model.onEpoch(epochDocument(1, ['node-a', 'node-b']), 0);
  model.onAgent('node-a', probe('node-c', true), 10_000);
  model.onEpoch(epochDocument(2, NODES), 10_100);
  expect(model.leaks).toBe(0);
});

test('the screen names epoch, clock, verdicts with reasons and reachability', () => {
  const model = new DemoModel(NODES, 0);
  const context = {
    mode: 'linux',
    note: '',
    scenario: 'steady',
    epochSeconds: 10,
    colour: false,
    hints: ['hint'],
  };
  expect(renderScreen(model, context, 0).join('\n')).toContain('starting');
  model.onEpoch(epochDocument(2, ['node-a', 'node-b']), 0);
  for (const score of [0.9, 0.4]) {
    model.onAgent('node-a', { event: 'score', suite: 'alignment', score, sequence: 1 }, 50);
  }
  model.onAgent('node-a', probe('node-b', true), 100);
  model.onAgent('node-a', probe('node-c', false), 100);
  const text = renderScreen(model, context, 1_000_500).join('\n');
  expect(text).toContain('epoch 2, next rotation in 3.5 s [####......]');
  expect(text).toContain('production uses 60 s');
  expect(text).toMatch(/node-a +10\.10\.0\.2 +0\.900 +█▄ +2\.0 s +member +of node-a/);
  expect(text).toMatch(/node-c +10\.10\.0\.4 +- +- +denied/);
  expect(text).toContain('b: 2.00 ms');
  expect(text).toContain('c: no answer');
  expect(renderScreen(model, { ...context, epochSeconds: 60 }, 0).join('\n')).not.toContain(
    'production uses',
  );
});

test('the newest scores are a line of bars, what is left of an epoch is one bar', () => {
  expect(sparkline([0, 0.13, 0.5, 0.999, 1])).toBe('▁▂▅██');
  expect(sparkline(Array.from({ length: 40 }, () => 0.7))).toHaveLength(16);
  expect(sparkline([])).toBe('');
  expect([1.2, 1, 0.5, 0.01, -1].map(countdown)).toEqual([
    '[##########]',
    '[##########]',
    '[#####.....]',
    '[..........]',
    '[..........]',
  ]);
});

test('colours are left out where NO_COLOR says so', () => {
  const given = [undefined, '', '0', '1'];
  expect(given.map((one) => coloursWanted(one))).toEqual([true, true, false, false]);
});

test('all intervals of the demo scale with the epoch; 60 s is the real clock', () => {
  expect(demoTimes(60)).toEqual({ epoch: 60, emit: 10, poll: 10, probe: 15, freshness: 120 });
  expect(demoTimes(6)).toEqual({ epoch: 6, emit: 1, poll: 1, probe: 1.5, freshness: 12 });
  expect(nodePlans('steady', 10).map(({ mean }) => mean)).toEqual([0.9, 0.85, 0.4]);
  expect(nodePlans('decay', 10)[1]!.ramp).toMatchObject({ startS: 30 });
  expect(nodePlans('recover', 10)[2]!.ramp!.to).toBeGreaterThan(0.7);
});
