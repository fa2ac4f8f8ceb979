import type { Policy, Score } from '../controller/policy.ts';
import type { EpochOutcome } from './run.ts';
import type { ScoreSource } from './scores.ts';
import { document, escaped, line, rectangle, text } from './svg.ts';

const WIDTH = 960;
const LEFT = 60;
const SCORES_HEIGHT = 200;
const ROWS_TOP = 250;
const MOST_COLUMNS = 480;
const MOST_ROWS = 100;

/** Draws scores over membership: how a mesh fared under a policy. Several epochs share a column. */
export class Raster {
  /** The source, watched: what is taken from it is drawn. */
  readonly watched: ScoreSource;
  private readonly source: ScoreSource;
  private readonly threshold: number;
  private readonly columns: number;
  private readonly sums: { total: number; count: number; least: number }[];
  /** By row and column: epochs in, epochs at all. */
  private readonly cells: { inside: number; epochs: number }[][];

  constructor(source: ScoreSource, policy: Policy) {
    this.source = source;
    this.threshold = policy.suites[0]!.threshold;
    this.columns = Math.min(MOST_COLUMNS, source.epochs);
    this.sums = Array.from({ length: this.columns }, () => ({ total: 0, count: 0, least: 1 }));
    const rows = Math.min(MOST_ROWS, source.nodeIds.length);
    this.cells = Array.from({ length: rows }, () =>
      Array.from({ length: this.columns }, () => ({ inside: 0, epochs: 0 })),
    );
    const take = (epoch: number) => this.seen(epoch, source.take(epoch));
    const { nodeIds, evaluators, startsAt, epochs } = source;
    this.watched = { nodeIds, evaluators, startsAt, epochs, take };
  }

  readonly onEpoch = (epoch: number, { isMember }: EpochOutcome): void => {
    const column = this.columnOf(epoch);
    for (const [row, cells] of this.cells.entries()) {
      const cell = cells[column]!;
      cell.epochs++;
      if (isMember[row]) cell.inside++;
    }
  };

  svg(): string {
    const { columns, threshold, cells, source } = this;
    const step = (WIDTH - LEFT) / columns;
    const y = (score: number) => 20 + (1 - score) * SCORES_HEIGHT;
    const x = (column: number) => LEFT + column * step;
    const heights = this.sums.map((one) => (one.count > 0 ? one : undefined));
    const curve = (of: (one: { total: number; count: number; least: number }) => number) =>
      heights.flatMap((one, i) => (one ? [[x(i), y(of(one))] as const] : []));
    const row = Math.max(3, Math.min(16, 480 / cells.length));
    const parts = [
      line(
        [
          [LEFT, y(threshold)],
          [WIDTH, y(threshold)],
        ],
        '#c33',
        '4 3',
      ),
      text(4, y(threshold) + 4, threshold.toFixed(2)),
      line(
        curve((one) => one.total / one.count),
        '#246',
      ),
      line(
        curve((one) => one.least),
        '#9bd',
      ),
      text(LEFT, 14, 'scores: mean and lowest of each column'),
      text(LEFT, ROWS_TOP - 6, 'members: dark; cut: red'),
      ...cells.flatMap((of, r) => [
        ...of.flatMap(({ inside, epochs }, c) =>
          epochs === 0
            ? []
            : [
                rectangle(
                  x(c),
                  ROWS_TOP + r * row,
                  step,
                  row - 1,
                  inside === epochs ? '#357' : inside === 0 ? '#c33' : '#e9a',
                ),
              ],
        ),
        ...(row >= 9
          ? [text(4, ROWS_TOP + (r + 0.8) * row, escaped(source.nodeIds[r]!.slice(0, 8)))]
          : []),
      ]),
    ];
    return document(WIDTH, ROWS_TOP + cells.length * row + 10, parts);
  }

  private seen(epoch: number, scores: readonly (readonly Score[])[]) {
    const column = this.sums[this.columnOf(epoch)]!;
    for (const ofNode of scores) {
      for (const { score } of ofNode) {
        column.total += score;
        column.count++;
        column.least = Math.min(column.least, score);
      }
    }
    return scores;
  }

  private columnOf(epoch: number): number {
    return Math.floor((epoch * this.columns) / this.source.epochs);
  }
}
