/** Longer than this nobody waits: agents give a call up after 5 s and ask again, ms. */
const MAX_WAIT = 4000;

/**
 * Builds configs one at a time, with a turn of the event loop between two. After an epoch all nodes
 * ask at once, and a config of a large mesh takes milliseconds: scores, pushes and admin calls go
 * in between, and nothing is built for who has hung up.
 */
export class ConfigQueue {
  private waiting = 0;
  private last: Promise<unknown> = Promise.resolve();
  /** Time that one takes, ms: a moving average. */
  private averageMs = 1;

  /** What `work` gives; undefined if there are too many before it, or it is not wanted any more. */
  async add<T>(isWanted: () => boolean, work: () => Promise<T>): Promise<T | undefined> {
    if (this.waiting * this.averageMs > MAX_WAIT) return undefined;
    this.waiting++;
    const result = this.last.then(async () => {
      await new Promise((resolve) => setImmediate(resolve));
      this.waiting--;
      return isWanted() ? this.timed(work) : undefined;
    });
    this.last = result.catch(() => {});
    return result;
  }

  private async timed<T>(work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    try {
      return await work();
    } finally {
      this.averageMs += (performance.now() - started - this.averageMs) / 8;
    }
  }
}
