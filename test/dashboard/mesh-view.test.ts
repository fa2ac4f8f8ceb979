import { expect, test } from 'vitest';
import type { EpochDocument } from '../../src/contract/epoch.ts';
import { toColumns } from '../../src/dashboard/columns.ts';
import { meshDelta, meshView } from '../../src/dashboard/mesh-view.ts';

function epochDocument(now: number, scores: Readonly<Record<string, number>>): EpochDocument {
  return {
    mesh_id: 'mesh',
    epoch: 3,
    version: 4,
    now,
    started_at: 0,
    next_rotation_at: 60_000,
    epoch_s: 60,
    threshold: 0.7,
    freshness_s: 120,
    observe_only: false,
    not_ready: null,
    brake: null,
    witnesses: null,
    evaluators: [],
    rotations: 4,
    exclusions: 1,
    nodes: Object.entries(scores).map(([node_id, score]) => ({
      node_id,
      tunnel_address: '10.10.0.2',
      allowed: score >= 0.7,
      reason: 'passed',
      explanation: 'as it was decided',
      score,
      age_s: (now - 1000) / 1000,
      since_epoch: 1,
      suites: [
        {
          suite: 'alignment',
          score,
          age_s: (now - 1000) / 1000,
          samples: 5,
          max_age_s: 120,
          passed: true,
        },
      ],
      rules: ['a score of at least 0.70'],
      back_in_epochs: null,
    })),
  };
}

test('time alone changes nothing: a score has a time, not an age', () => {
  const [before, after] = [10_000, 15_000].map((now) =>
    meshView(epochDocument(now, { a: 0.9 }), undefined),
  );
  expect(before!.nodes.observedAt).toEqual([1000]);
  expect(meshDelta(before!, after!)).toBeUndefined();
});

test('a delta has what changed, what is gone, and the epoch only if it is another', () => {
  const before = meshView(epochDocument(10_000, { a: 0.9, b: 0.8, c: 0.4 }), undefined);
  const after = meshView(epochDocument(11_000, { a: 0.9, b: 0.6, d: 0.5 }), undefined);
  const delta = meshDelta(before, after)!;
  expect(delta.changed.id).toEqual(['b', 'd']);
  expect(delta.gone).toEqual(['c']);
  expect(delta.epoch).toBeUndefined();
  const stalled = meshView(epochDocument(11_000, { a: 0.9, b: 0.8, c: 0.4 }), 'The disk is full.');
  expect(meshDelta(before, stalled)).toEqual({
    now: 11_000,
    epoch: { ...before.epoch, notReady: 'The disk is full.' },
    changed: toColumns([]),
    gone: [],
  });
});

test('a sentence is sent for who did not simply pass', () => {
  const document = epochDocument(10_000, { a: 0.9, b: 0.4 });
  const [a, b] = document.nodes;
  const nodes = [a!, { ...b!, reason: 'score_below_threshold' }];
  expect(meshView({ ...document, nodes }, undefined).nodes).toMatchObject({
    id: ['a', 'b'],
    explanation: [null, 'as it was decided'],
    score: [0.9, 0.4],
  });
});

test('a score of any suite shows, though another is older', () => {
  const told = (ages: readonly (number | null)[], age_s: number | null) => {
    const document = epochDocument(10_000, { a: 0.9 });
    const [a] = document.nodes;
    const suites = ages.map((age_s, i) => ({ ...a!.suites[0]!, suite: `suite-${i}`, age_s }));
    const { nodes } = meshView({ ...document, nodes: [{ ...a!, age_s, suites }] }, undefined);
    return [nodes.observedAt[0], nodes.latestAt[0]];
  };
  expect(told([9, 9], 9)).toEqual([1000, null]);
  expect(told([9, 2], 9)).toEqual([1000, 8000]);
  expect(told([null, 2], null)).toEqual([null, 8000]);
  expect(told([null], null)).toEqual([null, null]);
});
