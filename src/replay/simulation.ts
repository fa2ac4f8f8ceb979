/**
 * What a node does while it is bad. `boundary`: reports 0.95 last in each epoch; `best`: measures again
 * until a score passes; `best-mean`: until the mean of the epoch does.
 */
export const GAMING = ['none', 'boundary', 'best', 'best-mean'] as const;
export type Gaming = (typeof GAMING)[number];

/** Nodes that are alike. Qualities and scores 0..1. */
export interface Population {
  readonly nodes: number;
  /** Quality of a good node, and the deviation of one report. */
  readonly mean: number;
  readonly deviation: number;
  /** Each report is the share of right answers among so many; 0: normal with `deviation`. */
  readonly items: number;
  /** Seconds between two reports of a node. */
  readonly intervalS: number;
  /** Loss of quality an epoch. */
  readonly decay: number;
  /** Quality swings by so much, once in so many epochs. */
  readonly swing: number;
  readonly swingEpochs: number;
  /** Share of reports that are lost. */
  readonly loss: number;
  /** They turn to `mean` now and then, for `epochs`, every `every` on average; null: never. */
  readonly bad: {
    readonly mean: number;
    readonly epochs: number;
    readonly every: number;
    readonly gaming: Gaming;
  } | null;
}

/** A mesh that is simulated. */
export interface Simulation {
  readonly epochs: number;
  readonly epochS: number;
  readonly seed: number;
  readonly suite: string;
  /** What counts as good. */
  readonly threshold: number;
  /** All reports of an epoch are off by so much, every so many epochs. */
  readonly bias: number;
  readonly biasEvery: number;
  readonly populations: readonly Population[];
}
