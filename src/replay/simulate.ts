import type { Score } from '../controller/policy.ts';
import { binomial, normal, type Random, seeded } from './random.ts';
import type { ScoreSource } from './scores.ts';
import type { Population, Simulation } from './simulation.ts';

const START = 1_700_000_000_000;
/** What a node that games reports just before the end of an epoch. */
const GAMED = 0.95;
/** A controller takes so many reports of a node in an epoch. */
const MOST_REPORTS = 60;

/** One node: how it is, and how far it has come. Times in ms. */
interface Simulated {
  readonly id: string;
  readonly like: Population;
  /** When its next report is due. */
  due: number;
  /** Good until, then bad until; `turnedAt`: when it last turned bad. */
  goodUntil: number;
  badUntil: number;
  turnedAt: number;
  /** At the end of the epoch that was made last. */
  quality: number;
}

/** Makes the scores of a mesh; the same seed gives the same. */
export class SimulatedScores implements ScoreSource {
  readonly nodeIds: readonly string[];
  readonly evaluators: readonly string[] = [];
  readonly startsAt = START;
  readonly epochs: number;
  private readonly simulation: Simulation;
  private readonly random: Random;
  private readonly epochMs: number;
  private readonly nodes: readonly Simulated[];

  constructor(simulation: Simulation) {
    this.simulation = simulation;
    this.epochs = simulation.epochs;
    this.epochMs = simulation.epochS * 1000;
    this.random = seeded(simulation.seed);
    const alike = simulation.populations.flatMap((like) =>
      Array.from({ length: like.nodes }, () => like),
    );
    this.nodes = alike.map((like, i) => ({
      id: `node-${i}`,
      like,
      due: START + this.random() * like.intervalS * 1000,
      goodUntil: this.nextTurn(like, START),
      badUntil: 0,
      turnedAt: 0,
      quality: like.mean,
    }));
    this.nodeIds = this.nodes.map((one) => one.id);
  }

  readonly qualityOf = (index: number): number => this.nodes[index]!.quality;
  readonly turnedAt = (index: number): number => this.nodes[index]!.turnedAt;

  take(epoch: number): Score[][] {
    const { bias, biasEvery } = this.simulation;
    const isOff = bias !== 0 && epoch % biasEvery === biasEvery - 1;
    return this.nodes.map((node) => this.reports(node, epoch, isOff ? bias : 0));
  }

  private reports(node: Simulated, epoch: number, bias: number): Score[] {
    const { random } = this;
    const { like } = node;
    const until = START + (epoch + 1) * this.epochMs;
    const good = goodQuality(like, epoch);
    const reports: Score[] = [];
    for (; node.due < until; node.due += like.intervalS * 1000) {
      const value = this.measure(like, this.qualityAt(node, node.due, good) + bias);
      if (random() >= like.loss) reports.push(this.scoreOf(node, value, node.due));
    }
    node.quality = this.qualityAt(node, until, good);
    const isBad = like.bad !== null && node.quality < this.simulation.threshold;
    return isBad ? this.game(reports, node, until, good, bias) : reports;
  }

  private game(
    reports: Score[],
    node: Simulated,
    until: number,
    good: number,
    bias: number,
  ): Score[] {
    const gaming = node.like.bad?.gaming ?? 'none';
    if (gaming === 'none') return reports;
    if (gaming === 'boundary') return [...reports, this.scoreOf(node, GAMED, until - 1000)];
    // As soon as it may, and no more once it is content.
    const { threshold } = this.simulation;
    const tried: Score[] = [];
    const step = this.epochMs / MOST_REPORTS;
    let sum = 0;
    for (let i = 0; i < MOST_REPORTS; i++) {
      const at = until - this.epochMs + i * step;
      const value = this.measure(node.like, this.qualityAt(node, at, good) + bias);
      sum += value;
      tried.push(this.scoreOf(node, value, at));
      if ((gaming === 'best' ? value : sum / (i + 1)) >= threshold) break;
    }
    return tried;
  }

  private measure({ items, deviation }: Population, quality: number): number {
    const { random } = this;
    if (items > 0) return binomial(random, items, clipped(quality)) / items;
    return clipped(clipped(quality) + deviation * normal(random));
  }

  /** Good and bad by turns, each change at any time within an epoch. */
  private qualityAt(node: Simulated, at: number, good: number): number {
    const { bad } = node.like;
    if (bad === null) return good;
    if (at >= node.goodUntil) {
      node.turnedAt = node.goodUntil;
      node.badUntil = node.goodUntil + bad.epochs * this.epochMs;
      node.goodUntil = this.nextTurn(node.like, node.badUntil);
    }
    return at < node.badUntil ? bad.mean : good;
  }

  private nextTurn({ bad }: Population, after: number): number {
    if (bad === null) return Number.POSITIVE_INFINITY;
    return after + (0.5 + this.random()) * bad.every * this.epochMs;
  }

  private scoreOf({ id, like }: Simulated, score: number, at: number): Score {
    const { suite } = this.simulation;
    const samples = like.items || 50;
    return { suite, signer: id, score, samples, observedAt: at, receivedAt: at };
  }
}

function goodQuality({ mean, decay, swing, swingEpochs }: Population, epoch: number): number {
  const swung = swing === 0 ? 0 : swing * Math.sin((2 * Math.PI * epoch) / swingEpochs);
  return mean - decay * epoch + swung;
}

function clipped(value: number): number {
  return Math.min(1, Math.max(0, value));
}
