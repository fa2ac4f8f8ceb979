import { describe, expect, test } from 'vitest';
import { type MeshOptions, meshOfOptions } from '../../src/cli/simulation-spec.ts';
import { DEFAULT_POLICY } from '../../src/controller/policy/default-policy.ts';
import type { Policy } from '../../src/controller/policy.ts';
import { readPolicy } from '../../src/controller/policy-file.ts';
import { completeSettings } from '../../src/controller/settings.ts';
import { expected } from '../../src/replay/expected.ts';
import { Figures, type MeshFigures, poissonInterval } from '../../src/replay/figures.ts';
import { Raster } from '../../src/replay/raster.ts';
import { RecordedScores } from '../../src/replay/recorded.ts';
import { run } from '../../src/replay/run.ts';
import { SimulatedScores } from '../../src/replay/simulate.ts';
import type { Simulation } from '../../src/replay/simulation.ts';

const EPOCH_MS = 60_000;
const policy = (document: object): Policy =>
  completeSettings(readPolicy({ version: 2, ...document })).policy;
const PLAIN = policy({ suites: [{ suite: 'alignment' }], brake: null });
const DEFAULT = completeSettings(DEFAULT_POLICY).policy;

const OPTIONS = {
  nodes: 100,
  mean: 0.85,
  deviation: 0.05,
  items: 0,
  bad: 5,
  badMean: 0.5,
  badEpochs: 60,
  badEvery: 100,
  decay: 0,
  swing: 0,
  swingEpochs: 60,
  loss: 0,
  bias: 0,
  biasEvery: 500,
  gaming: 'none',
} as const;
const LENGTHS = { epochs: 1000, epochS: 60, seed: 1, suite: 'alignment', threshold: 0.7 };

type Fields = Partial<MeshOptions> & { readonly epochs?: number; readonly seed?: number };

function meshOf(fields: Fields): Simulation {
  const { epochs, seed, ...options } = { ...LENGTHS, ...fields };
  return {
    ...LENGTHS,
    ...meshOfOptions({ ...OPTIONS, ...options }, options.interval ?? 10),
    epochs,
    seed,
  };
}

function measured(fields: Fields, ...policies: Policy[]): MeshFigures[] {
  const source = new SimulatedScores(meshOf(fields));
  const figures = policies.map(() => new Figures(source, LENGTHS.threshold, EPOCH_MS));
  const trials = policies.map((one, i) => ({
    policy: one,
    epochMs: EPOCH_MS,
    onEpoch: figures[i]!.onEpoch,
  }));
  run(source, trials, () => {});
  return figures.map((one) => one.result());
}

test('false cuts of the plain rule are as many as its formula says', () => {
  const [plain] = measured({ bad: 0, epochs: 2000 }, PLAIN);
  const byFormula = expected(PLAIN, meshOf({ bad: 0 })).false_cuts_a_day!;
  expect(byFormula).toBeGreaterThan(plain!.interval![0]);
  expect(byFormula).toBeLessThan(plain!.interval![1]);
});

test('there is no formula for means that share a report with the epoch before', () => {
  const [often, rarely] = [10, 60].map((interval) => meshOf({ interval, bad: 0 }));
  expect(expected(DEFAULT, often!).good_run).toBeGreaterThan(1e40);
  expect(expected(DEFAULT, rarely!)).toMatchObject({ good_run: null, false_cuts_a_day: null });
  expect(expected(PLAIN, rarely!).good_run).toBeCloseTo(741, 0);
});

test('the default policy has a hundred times fewer false cuts, at less than an epoch more delay', () => {
  const [judged, plain] = measured({}, DEFAULT, PLAIN);
  expect(plain!.false_cuts).toBeGreaterThan(100);
  expect(judged!.false_cuts).toBe(0);
  expect(judged!.delay_mean! - plain!.delay_mean!).toBeLessThan(1);
  expect(judged!.missed).toBe(0);
});

describe('before and after', () => {
  test('a good report just before the boundary', () => {
    const bad = { bad: 20, badMean: 0.3, gaming: 'boundary' } as const;
    const [judged, plain] = measured(bad, DEFAULT, PLAIN);
    expect(plain!.bad_member_share).toBeGreaterThan(0.9);
    expect(plain!.nodes.slice(0, 20).reduce((sum, one) => sum + one.missed!, 0)).toBeGreaterThan(
      50,
    );
    expect(judged!.bad_member_share).toBeLessThan(0.06);
    expect(judged!.missed).toBe(0);
  });

  test('the best of sixty reports', () => {
    const bad = { bad: 20, badMean: 0.65 };
    const [plain] = measured({ ...bad, gaming: 'best' }, PLAIN);
    expect(plain!.bad_member_share).toBeGreaterThan(0.9);
    for (const gaming of ['best', 'best-mean'] as const) {
      const [judged] = measured({ ...bad, gaming }, DEFAULT);
      expect(judged!.bad_member_share, gaming).toBeLessThan(0.2);
    }
  });

  test('flapping of a node that is slightly bad', () => {
    const bad = { bad: 20, badMean: 0.65, badEpochs: 200 };
    const [judged, plain] = measured(bad, DEFAULT, PLAIN);
    expect(plain!.bad_member_share).toBeGreaterThan(0.12);
    expect(judged!.bad_member_share).toBeLessThan(0.05);
    expect(judged!.cuts).toBeLessThan(plain!.cuts / 10);
  });

  test('all reports off by 0.20 for an epoch', () => {
    const [judged, plain] = measured({ bad: 0, bias: -0.2, biasEvery: 200 }, DEFAULT, PLAIN);
    expect(plain!.worst_epoch).toBeGreaterThan(80);
    expect(judged!.worst_epoch).toBe(0);
  });

  test('all reports at 0.30 for an epoch: the brake', () => {
    const [judged] = measured({ bad: 0, bias: -0.55, biasEvery: 200 }, DEFAULT);
    expect(judged).toMatchObject({ worst_epoch: 0, false_cuts: 0 });
    expect(judged!.frozen_epochs).toBeGreaterThanOrEqual(5);
  });
});

test('the same seed gives the same, another one does not', () => {
  const [once] = measured({ epochs: 200 }, PLAIN);
  expect(measured({ epochs: 200 }, PLAIN)[0]).toEqual(once);
  expect(measured({ epochs: 200, seed: 2 }, PLAIN)[0]).not.toEqual(once);
});

test('recorded scores are judged as they came, and nothing is claimed about their truth', () => {
  const at = (minute: number) => 1_700_000_000_000 + minute * EPOCH_MS;
  const one = (nodeId: string, minute: number, score: number) => {
    const times = { observedAt: at(minute), receivedAt: at(minute) };
    return { nodeId, suite: 'alignment', signer: nodeId, score, samples: 50, ...times };
  };
  const source = new RecordedScores(
    [0.9, 0.9, 0.6, 0.9].flatMap((score, i) => [one('b', i, score), one('a', i, 0.8)]),
    EPOCH_MS,
  );
  const seen: boolean[][] = [];
  const figures = new Figures(source, 0.7, EPOCH_MS);
  const raster = new Raster(source, PLAIN);
  const onEpoch: typeof figures.onEpoch = (epoch, outcome) => {
    seen.push([...outcome.isMember]);
    figures.onEpoch(epoch, outcome);
    raster.onEpoch(epoch, outcome);
  };
  run(raster.watched, [{ policy: PLAIN, epochMs: EPOCH_MS, onEpoch }], () => {});
  expect(source.nodeIds).toEqual(['a', 'b']);
  expect(seen.map(([, b]) => b)).toEqual([true, true, false, true]);
  expect(figures.result()).toMatchObject({ cuts: 1, false_cuts: null, delay_p50: null });
  expect(raster.svg()).toMatch(/^<svg .*<\/svg>\n$/su);
});

test('intervals of counts are those of the tables', () => {
  const [low, high] = poissonInterval(10);
  expect(low).toBeCloseTo(4.8, 1);
  expect(high).toBeCloseTo(18.4, 1);
  expect(poissonInterval(0)[0]).toBe(0);
  expect(poissonInterval(0)[1]).toBeCloseTo(3.7, 0);
});
