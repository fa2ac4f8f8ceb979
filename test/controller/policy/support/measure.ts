import { judge } from '../../../../src/controller/policy/judge.ts';
import type { ValueModel } from '../../../../src/controller/policy/run-lengths.ts';
import {
  KNOWN_MEMBER,
  type Standing,
  standingAfter,
} from '../../../../src/controller/policy/standing.ts';
import {
  type CutParameters,
  PLAIN_RULE,
  type SuiteRule,
} from '../../../../src/controller/policy.ts';
import { seededRandom } from '../../../lab/random.ts';

const EPOCH_MS = 60_000;
const excused: ReadonlyMap<string, string> = new Map();

/** Run lengths of the real `judge`: mean of `runs` from a clean window, and 3.3 standard errors of it. */
export function measureRunLength(
  cut: CutParameters,
  threshold: number,
  model: ValueModel,
  runs: number,
  seed: number,
): { mean: number; halfWidth: number } {
  const step = stepper({ ...PLAIN_RULE, threshold, cut, readmit: threshold }, model, seed);
  const lengths: number[] = [];
  while (lengths.length < runs) {
    let standing = KNOWN_MEMBER;
    let epochs = 0;
    while (standing.isMember) {
      standing = step(standing);
      epochs++;
    }
    lengths.push(epochs);
  }
  const mean = lengths.reduce((sum, one) => sum + one, 0) / runs;
  const variance = lengths.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (runs - 1);
  return { mean, halfWidth: 3.3 * Math.sqrt(variance / runs) };
}

/** Share of `epochs` in which the real `judge` has the node in. */
export function measureMemberShare(
  cut: CutParameters,
  back: number,
  threshold: number,
  model: ValueModel,
  epochs: number,
  seed: number,
): number {
  const step = stepper({ ...PLAIN_RULE, threshold, cut, readmit: threshold, back }, model, seed);
  let standing = KNOWN_MEMBER;
  let inside = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    standing = step(standing);
    if (standing.isMember) inside++;
  }
  return inside / epochs;
}

/** One score an epoch through `judge` and `standingAfter`, as the governor does it. */
function stepper(rule: SuiteRule, model: ValueModel, seed: number) {
  const draw = values(model, seededRandom(seed));
  let now = EPOCH_MS;
  return (standing: Standing): Standing => {
    now += EPOCH_MS;
    const at = { observedAt: now, receivedAt: now };
    const score = { suite: rule.suite, signer: 'self', score: draw(), samples: 1, ...at };
    if (model.kind === 'binomial') score.samples = model.items;
    const evidence = { scores: [score], signersOf: () => ['self'], standing };
    const { allowed, tracks } = judge([rule], evidence, { now, epochMs: EPOCH_MS, excused });
    return standingAfter(standing, tracks, allowed, { epoch: 1, why: '' });
  };
}

function values(model: ValueModel, random: () => number): () => number {
  if (model.kind === 'normal') {
    return () => {
      const radius = Math.sqrt(-2 * Math.log(1 - random()));
      return model.mean + model.deviation * radius * Math.cos(2 * Math.PI * random());
    };
  }
  return () => {
    let right = 0;
    for (let item = 0; item < model.items; item++) if (random() < model.quality) right++;
    return right / model.items;
  };
}
