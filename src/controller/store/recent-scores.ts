import type { Score } from '../policy.ts';

/** A row of the history of scores. */
export interface ScoreRow {
  /** Grows with every row. */
  readonly id: number;
  readonly nodeId: string;
  readonly score: Score;
}

/** Whoever is not asked for so long that there is this much more than it gave last lets go of all of it. */
const MOST_UNREAD = 100_000;

/**
 * The end of the history of scores, in memory: an epoch looks back by two of them, and 10,000 nodes make
 * 120,000 rows in that time. It knows every row from `floor` on up to `last`, whoever wrote it, or nothing.
 */
export class RecentScores {
  private byNode = new Map<string, Score[]>();
  /** The time of receipt from which on all rows are here, controller's clock, ms. */
  private floor = Number.POSITIVE_INFINITY;
  private last = 0;
  private added = 0;

  /** The row up to which all is here that was received since `since`; undefined: read it all. */
  knownTo(since: number): number | undefined {
    return since >= this.floor && this.byNode.size > 0 ? this.last : undefined;
  }

  /** Begins with these rows, which are all since `since`, in the order of their ids. */
  begin(since: number, rows: readonly ScoreRow[]): void {
    this.forget();
    this.floor = since;
    for (const row of rows) this.add(row);
    this.added = 0;
  }

  /** Takes in rows behind `last`: all that there are. */
  catchUp(rows: readonly ScoreRow[]): void {
    for (const row of rows) this.add(row);
  }

  /** Takes in a row that was just committed, if none is missing before it. */
  follow(row: ScoreRow): void {
    if (row.id !== this.last + 1 || this.byNode.size === 0) return;
    this.add(row);
    if (++this.added > MOST_UNREAD) this.forget();
  }

  /**
   * What was received since `since`, by node, oldest first, and lets go of what is older.
   *
   * @param enrolledAt by node: who was enrolled later than a score is another one of that name
   */
  since(since: number, enrolledAt: ReadonlyMap<string, number>): Map<string, Score[]> {
    const found = new Map<string, Score[]>();
    for (const [nodeId, known] of this.byNode) {
      const scores = from(since, known);
      if (scores.length === 0) this.byNode.delete(nodeId);
      else this.byNode.set(nodeId, scores);
      const enrolled = enrolledAt.get(nodeId);
      if (enrolled === undefined) continue;
      const own = from(enrolled, scores);
      if (own.length > 0) found.set(nodeId, inOrder(own));
    }
    this.floor = since;
    this.added = 0;
    return found;
  }

  private add({ id, nodeId, score }: ScoreRow): void {
    const known = this.byNode.get(nodeId);
    if (known) known.push(score);
    else this.byNode.set(nodeId, [score]);
    this.last = id;
  }

  private forget(): void {
    this.byNode = new Map();
    this.floor = Number.POSITIVE_INFINITY;
    this.last = 0;
    this.added = 0;
  }
}

function from(since: number, scores: Score[]): Score[] {
  return scores.every((one) => one.receivedAt >= since)
    ? scores
    : scores.filter((one) => one.receivedAt >= since);
}

/** As they were received; of several at once, as they were written. */
function inOrder(scores: readonly Score[]): Score[] {
  return scores.toSorted((a, b) => a.receivedAt - b.receivedAt);
}
