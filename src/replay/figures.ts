import type { EpochOutcome } from './run.ts';
import type { ScoreSource } from './scores.ts';

/** What a policy did to one node. Times in epochs. */
export interface NodeFigures {
  readonly node: string;
  /** Share of epochs in which it was a member. */
  readonly member_share: number;
  readonly cuts: number;
  /** Of them, those while its quality was good; null where nobody knows its quality. */
  readonly false_cuts: number | null;
  readonly epochs_out: number;
  /** From the moment it turned bad until it was out. */
  readonly delay_p50: number | null;
  readonly delay_p90: number | null;
  /** Turned bad and good again without being cut. */
  readonly missed: number | null;
}

/** What a policy did to the mesh. */
export interface MeshFigures {
  readonly epochs: number;
  readonly cuts: number;
  readonly false_cuts: number | null;
  readonly false_cuts_a_day: number | null;
  /** 95 % of what false cuts a day may be, by the count that was seen. */
  readonly interval: readonly [number, number] | null;
  readonly delay_mean: number | null;
  readonly delay_p50: number | null;
  readonly delay_p90: number | null;
  readonly missed: number | null;
  /** Share of bad epochs that a node spent as a member. */
  readonly bad_member_share: number | null;
  /** Most members that one epoch cut. */
  readonly worst_epoch: number;
  readonly frozen_epochs: number;
  readonly nodes: readonly NodeFigures[];
}

/** For so many epochs after it was bad, a node is cut for that: values look back. */
const AFTERMATH = 3;
const DAY_MS = 86_400_000;

interface Tally {
  inside: number;
  cuts: number;
  falseCuts: number;
  missed: number;
  isIn: boolean;
  /** The turn that is waited for, ms; null: none. */
  turn: number | null;
  lastTurn: number;
  lastBad: number;
  bad: number;
  badInside: number;
  readonly delays: number[];
}

/** Counts, epoch by epoch, what a policy does. */
export class Figures {
  private readonly source: ScoreSource;
  private readonly threshold: number;
  private readonly epochMs: number;
  private readonly tallies: Tally[];
  private worst = 0;
  private frozen = 0;

  constructor(source: ScoreSource, threshold: number, epochMs: number) {
    this.source = source;
    this.threshold = threshold;
    this.epochMs = epochMs;
    this.tallies = source.nodeIds.map(() => ({
      inside: 0,
      cuts: 0,
      falseCuts: 0,
      missed: 0,
      isIn: false,
      turn: null,
      lastTurn: 0,
      lastBad: Number.NEGATIVE_INFINITY,
      bad: 0,
      badInside: 0,
      delays: [],
    }));
  }

  readonly onEpoch = (epoch: number, { at, isMember, isFrozen }: EpochOutcome): void => {
    let cut = 0;
    this.tallies.forEach((tally, index) => {
      const isIn = isMember[index]!;
      this.turned(tally, index, epoch);
      if (tally.isIn && !isIn) {
        cut++;
        tally.cuts++;
        if (tally.turn !== null) {
          tally.delays.push((at - tally.turn) / this.epochMs);
          tally.turn = null;
        } else if (epoch - tally.lastBad > AFTERMATH) {
          tally.falseCuts++;
        }
      }
      if (isIn) tally.inside++;
      if (isIn && epoch === tally.lastBad) tally.badInside++;
      tally.isIn = isIn;
    });
    this.worst = Math.max(this.worst, cut);
    if (isFrozen) this.frozen++;
  };

  /** Whether it has turned bad while a member, or good again before it was cut. */
  private turned(tally: Tally, index: number, epoch: number): void {
    const quality = this.source.qualityOf?.(index);
    if (quality === undefined) return;
    const isBad = quality < this.threshold;
    if (isBad) {
      const at = this.source.turnedAt!(index);
      if (tally.isIn && at !== tally.lastTurn) tally.turn = at;
      tally.lastTurn = at;
      tally.lastBad = epoch;
      tally.bad++;
    } else if (tally.turn !== null && epoch - tally.lastBad > AFTERMATH) {
      tally.turn = null;
      tally.missed++;
    }
  }

  result(): MeshFigures {
    const { source, tallies, epochMs } = this;
    const { epochs } = source;
    const isKnown = source.qualityOf !== undefined;
    const total = (of: (tally: Tally) => number) => tallies.reduce((sum, one) => sum + of(one), 0);
    const days = (epochs * epochMs) / DAY_MS;
    const falseCuts = total((one) => one.falseCuts);
    const delays = tallies.flatMap((one) => one.delays);
    const bad = total((one) => one.bad);
    const [low, high] = poissonInterval(falseCuts);
    return {
      epochs,
      cuts: total((one) => one.cuts),
      false_cuts: isKnown ? falseCuts : null,
      false_cuts_a_day: isKnown ? falseCuts / days : null,
      interval: isKnown ? [low / days, high / days] : null,
      delay_mean:
        delays.length > 0 ? delays.reduce((sum, one) => sum + one, 0) / delays.length : null,
      delay_p50: quantile(delays, 0.5),
      delay_p90: quantile(delays, 0.9),
      missed: isKnown ? total((one) => one.missed) : null,
      bad_member_share: bad > 0 ? total((one) => one.badInside) / bad : null,
      worst_epoch: this.worst,
      frozen_epochs: this.frozen,
      nodes: tallies.map((one, index) => ({
        node: source.nodeIds[index]!,
        member_share: one.inside / epochs,
        cuts: one.cuts,
        false_cuts: isKnown ? one.falseCuts : null,
        epochs_out: epochs - one.inside,
        delay_p50: quantile(one.delays, 0.5),
        delay_p90: quantile(one.delays, 0.9),
        missed: isKnown ? one.missed : null,
      })),
    };
  }
}

/** The value that `share` of the values do not exceed; null without values. */
function quantile(values: readonly number[], share: number): number | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
}

/** 95 % interval of a Poisson mean, of a count: Byar's approximation (Breslow and Day 1987, page 69). */
export function poissonInterval(count: number): [number, number] {
  const z = 1.96;
  const end = (n: number, sign: number) =>
    n === 0 ? 0 : n * (1 - 1 / (9 * n) + (sign * z) / (3 * Math.sqrt(n))) ** 3;
  return [end(count, -1), end(count + 1, 1)];
}
