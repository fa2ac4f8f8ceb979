import type { CutParameters } from '../policy.ts';
import { normalBelow } from './normal.ts';
import { upperBound } from './rules/confidence.ts';

/**
 * Exact run lengths: how many epochs, on average, until a rule cuts a node that begins with a clean
 * window and whose epochs are independent. Of a good node, the time between false cuts; of a bad one,
 * the delay.
 *
 * k of n and CUSUM are absorbing Markov chains: t = 1 + Q t for the states in which nothing is cut yet
 * (Kemeny and Snell 1960, Finite Markov Chains, theorem 3.3.5; CUSUM: Brook and Evans 1972, Biometrika 59).
 */

/** Of one epoch's value: normal, or right answers among `items`, each right with `quality`. */
export type ValueModel =
  | { readonly kind: 'normal'; readonly mean: number; readonly deviation: number }
  | { readonly kind: 'binomial'; readonly items: number; readonly quality: number };

/** Windows of k of n are states: 2^(n-1) of them are solved up to here. */
export const LARGEST_WINDOW = 10;

/**
 * Run length of a rule in epochs; undefined where there is no figure here: a window over
 * `LARGEST_WINDOW`, confidence of what is not counted in items. CUSUM of normal values is the one that is
 * not exact: its sums are taken in `SUM_STEPS` steps.
 */
export function runLength(
  cut: CutParameters,
  threshold: number,
  model: ValueModel,
): number | undefined {
  switch (cut.kind) {
    case 'k_of_n':
      return cut.of > LARGEST_WINDOW
        ? undefined
        : kOfNRunLength(cut.failed, cut.of, failureShare(threshold, model));
    case 'cusum':
      return model.kind === 'binomial'
        ? cusumRunLength(model.items, model.quality, cut.ref, cut.h)
        : normalCusumRunLength(model.mean, model.deviation, cut.ref, cut.h);
    case 'confidence':
      return model.kind === 'binomial'
        ? confidenceRunLength(model.items, model.quality, threshold, cut.level)
        : undefined;
  }
}

/** Share of epochs whose value is under the threshold. */
export function failureShare(threshold: number, model: ValueModel): number {
  if (model.kind === 'normal') return normalBelow((threshold - model.mean) / model.deviation);
  const { items, quality } = model;
  let share = 0;
  binomial(items, quality).forEach((probability, right) => {
    if (right / items < threshold) share += probability;
  });
  return share;
}

/** k failures in a row, each with probability p: (p^-k - 1) / (1 - p). Feller (1968), XIII.7. */
export function inARowRunLength(k: number, p: number): number {
  return p === 1 ? k : (p ** -k - 1) / (1 - p);
}

/** At least k failures among the last n, each with probability p. */
export function kOfNRunLength(k: number, n: number, p: number): number {
  if (k === n) return inARowRunLength(k, p);
  const windows = Array.from({ length: 2 ** (n - 1) }, (_, window) => window).filter(
    (window) => ones(window) < k,
  );
  const indexOf = new Map(windows.map((window, index) => [window, index]));
  const mask = 2 ** (n - 1) - 1;
  return expectedSteps(windows.length, (index, go) => {
    for (const [failed, probability] of [
      [1, p],
      [0, 1 - p],
    ] as const) {
      const seen = (windows[index]! << 1) | failed;
      go(ones(seen) < k ? indexOf.get(seen & mask)! : CUT, probability);
    }
  });
}

/**
 * CUSUM of the share of right answers among `items`. Sums are multiples of 1/2n if `ref` and `h` are,
 * and are rounded to those otherwise.
 */
export function cusumRunLength(items: number, quality: number, ref: number, h: number): number {
  const steps = Math.round(h * 2 * items);
  const reference = Math.round(ref * 2 * items);
  const probabilities = binomial(items, quality);
  return expectedSteps(steps, (sum, go) => {
    probabilities.forEach((probability, right) => {
      const next = Math.max(0, sum + reference - 2 * right);
      go(next < steps ? next : CUT, probability);
    });
  });
}

const SUM_STEPS = 160;

/** CUSUM of normal values, by steps of the sum: Brook and Evans (1972), section 3. */
function normalCusumRunLength(mean: number, deviation: number, ref: number, h: number): number {
  const width = (2 * h) / (2 * SUM_STEPS - 1);
  const below = (lack: number) => normalBelow((lack - (ref - mean)) / deviation);
  return expectedSteps(SUM_STEPS, (from, go) => {
    let reached = 0;
    for (let to = 0; to < SUM_STEPS; to++) {
      const share = below((to - from + 0.5) * width);
      go(to, share - reached);
      reached = share;
    }
    const lack = (SUM_STEPS - from - 0.5) * width;
    go(CUT, normalBelow((ref - mean - lack) / deviation)); // not 1 - share, which may be all rounding
  });
}

function confidenceRunLength(
  items: number,
  quality: number,
  threshold: number,
  level: number,
): number {
  let cut = 0;
  binomial(items, quality).forEach((probability, right) => {
    if (upperBound(right / items, items, level) < threshold) cut += probability;
  });
  return 1 / cut;
}

/**
 * Share of epochs in which a node is a member, where it is cut after `runLength` epochs on average and
 * let in again after `back` passes in a row, each failing with probability p: A / (A + B), a renewal.
 */
export function memberShare(cutAfter: number, back: number, p: number): number {
  const away = inARowRunLength(back, 1 - p);
  return Number.isFinite(away) ? cutAfter / (cutAfter + away) : 0;
}

/** Probabilities of 0 to n right answers. */
function binomial(n: number, quality: number): number[] {
  const probabilities: number[] = [];
  let logChoose = 0;
  for (let k = 0; k <= n; k++) {
    if (k > 0) logChoose += Math.log((n - k + 1) / k);
    const log = logChoose + weighed(k, quality) + weighed(n - k, 1 - quality);
    probabilities.push(Math.exp(log));
  }
  return probabilities;
}

/** k log p, with 0 log 0 = 0. */
function weighed(k: number, p: number): number {
  return k === 0 ? 0 : k * Math.log(p);
}

function ones(value: number): number {
  let count = 0;
  for (let rest = value; rest > 0; rest >>= 1) count += rest & 1;
  return count;
}

/** The state in which a node is cut. */
const CUT = -1;

/**
 * Expected steps from state 0 until `CUT`, by taking one state after the other out of the chain. Nothing
 * is subtracted, so run lengths of 10^15 are as exact as short ones (Grassmann, Taksar and Heyman 1985,
 * Operations Research 33).
 *
 * @param moves calls `go` with each state that can follow a state, and the probability
 */
function expectedSteps(
  states: number,
  moves: (from: number, go: (to: number, probability: number) => void) => void,
): number {
  const chain = Array.from({ length: states }, (_, from) => {
    const to = new Float64Array(states);
    const state = { to, cut: 0, steps: 1 };
    moves(from, (next, probability) => {
      if (next === CUT) state.cut += probability;
      else to[next]! += probability;
    });
    return state;
  });
  for (let last = states - 1; last > 0; last--) {
    const gone = chain[last]!;
    let leaves = gone.cut;
    for (let j = 0; j < last; j++) leaves += gone.to[j]!;
    for (let i = 0; i < last; i++) {
      const state = chain[i]!;
      const share = state.to[last]! / leaves;
      if (share === 0) continue;
      for (let j = 0; j < last; j++) state.to[j]! += share * gone.to[j]!;
      state.cut += share * gone.cut;
      state.steps += share * gone.steps;
    }
  }
  return chain[0]!.steps / chain[0]!.cut;
}
