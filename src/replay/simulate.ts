import type { Score } from '../controller/policy.ts';
import { binomial, normal, type Random, seeded } from './random.ts';
import type { ScoreSource } from './scores.ts';

/** What is simulated. */
export interface Simulation {
  readonly nodes: number;
  readonly epochs: number;
  readonly epochS: number;
  readonly seed: number;
  readonly suite: string;
  readonly threshold: number;
  /** Seconds between two reports of a node. */
  readonly intervalS: number;
  /** Quality of a good node, and the deviation of one report. */
  readonly mean: number;
  readonly deviation: number;
  /** Each report is the share of right answers among so many; 0: normal with `deviation`. */
  readonly items: number;
  /** So many of the nodes turn to `badMean` now and then, for `badEpochs`, every `badEvery` on average. */
  readonly bad: number;
  readonly badMean: number;
  readonly badEpochs: number;
  readonly badEvery: number;
  /** Loss of quality an epoch, of all nodes. */
  readonly decay: number;
  /** Quality swings by so much, once in so many epochs. */
  readonly swing: number;
  readonly swingEpochs: number;
  /** Share of reports that are lost. */
  readonly loss: number;
  /** All reports of an epoch are off by so much, every so many epochs. */
  readonly bias: number;
  readonly biasEvery: number;
  /**
   * What bad nodes do: `boundary` reports 0.95 last in each epoch; `best` measures again until a score
   * passes, `best-mean` until the mean of the epoch does.
   */
  readonly gaming: 'none' | 'boundary' | 'best' | 'best-mean';
}

const START = 1_700_000_000_000;
/** What a node that games reports just before the end of an epoch. */
const GAMED = 0.95;
/** A controller takes so many reports of a node in an epoch. */
const MOST_REPORTS = 60;

/** Makes the scores of a mesh; the same seed gives the same. */
export class SimulatedScores implements ScoreSource {
  readonly nodeIds: readonly string[];
  readonly evaluators: readonly string[] = [];
  readonly startsAt = START;
  readonly epochs: number;
  private readonly options: Simulation;
  private readonly random: Random;
  private readonly epochMs: number;
  /** Of each node: when its next report is due, ms, and the state of its quality. */
  private readonly due: number[];
  private readonly turns: { badUntil: number; goodUntil: number; at: number }[];
  private readonly quality: number[];

  constructor(options: Simulation) {
    this.options = options;
    this.epochs = options.epochs;
    this.epochMs = options.epochS * 1000;
    this.random = seeded(options.seed);
    const { random } = this;
    this.nodeIds = Array.from({ length: options.nodes }, (_, i) => `node-${i}`);
    this.due = this.nodeIds.map(() => START + random() * options.intervalS * 1000);
    this.turns = this.nodeIds.map(() => ({ badUntil: 0, goodUntil: this.nextTurn(START), at: 0 }));
    this.quality = this.nodeIds.map(() => options.mean);
  }

  readonly qualityOf = (index: number): number => this.quality[index]!;
  readonly turnedAt = (index: number): number => this.turns[index]!.at;

  take(epoch: number): Score[][] {
    return this.nodeIds.map((_, index) => this.reports(index, epoch));
  }

  private reports(index: number, epoch: number): Score[] {
    const { options, random } = this;
    const until = START + (epoch + 1) * this.epochMs;
    const isBad = index < options.bad;
    const intervalMs = options.intervalS * 1000;
    const reports: Score[] = [];
    for (; this.due[index]! < until; this.due[index]! += intervalMs) {
      const at = this.due[index]!;
      const value = this.measure(index, at, epoch);
      if (random() >= options.loss) reports.push(this.scoreOf(index, value, at));
    }
    this.quality[index] = this.qualityAt(index, until, epoch);
    if (isBad && this.quality[index]! < options.threshold) this.game(reports, index, epoch, until);
    return reports;
  }

  private game(reports: Score[], index: number, epoch: number, until: number): void {
    const { gaming, threshold } = this.options;
    if (gaming === 'boundary') {
      reports.push(this.scoreOf(index, GAMED, until - 1000));
    } else if (gaming !== 'none') {
      // As soon as it may, and no more once it is content.
      reports.length = 0;
      const step = this.epochMs / MOST_REPORTS;
      let sum = 0;
      for (let i = 0; i < MOST_REPORTS; i++) {
        const at = until - this.epochMs + i * step;
        const value = this.measure(index, at, epoch);
        sum += value;
        reports.push(this.scoreOf(index, value, at));
        if ((gaming === 'best' ? value : sum / (i + 1)) >= threshold) break;
      }
    }
  }

  private measure(index: number, at: number, epoch: number): number {
    const { options, random } = this;
    const { items, deviation, bias, biasEvery } = options;
    const isOff = bias !== 0 && epoch % biasEvery === biasEvery - 1;
    const quality = clipped(this.qualityAt(index, at, epoch) + (isOff ? bias : 0));
    if (items > 0) return binomial(random, items, quality) / items;
    return clipped(quality + deviation * normal(random));
  }

  private qualityAt(index: number, at: number, epoch: number): number {
    const { options } = this;
    const swing = options.swing * Math.sin((2 * Math.PI * epoch) / options.swingEpochs);
    const good = options.mean - options.decay * epoch + swing;
    return index < options.bad && this.isBadAt(index, at) ? options.badMean : good;
  }

  /** Good and bad by turns, each change at any time within an epoch. */
  private isBadAt(index: number, at: number): boolean {
    const turn = this.turns[index]!;
    if (at >= turn.goodUntil) {
      turn.at = turn.goodUntil;
      turn.badUntil = turn.goodUntil + this.options.badEpochs * this.epochMs;
      turn.goodUntil = this.nextTurn(turn.badUntil);
    }
    return at < turn.badUntil;
  }

  private nextTurn(after: number): number {
    return after + (0.5 + this.random()) * this.options.badEvery * this.epochMs;
  }

  private scoreOf(index: number, score: number, at: number): Score {
    const { suite, items } = this.options;
    const signer = this.nodeIds[index]!;
    return { suite, signer, score, samples: items || 50, observedAt: at, receivedAt: at };
  }
}

function clipped(value: number): number {
  return Math.min(1, Math.max(0, value));
}
