/** Longer than this nobody waits: agents give a call up after 5 s and ask again, ms. */
const MAX_WAIT = 4000;

/**
 * Builds configs one at a time, with a turn of the event loop between two. After an epoch all nodes
 * ask at once, and a config of a large mesh takes milliseconds: scores, pushes and admin calls go
 * in between, and nothing is built for who has hung up.
 */
export class ConfigQueue {
  /** Who waits, each with its newest request. */
  private readonly waiting = new Map<string, object>();
  private last: Promise<unknown> = Promise.resolve();
  /** Time that one takes, ms: a moving average. */
  private averageMs = 1;

  /**
   * What `work` gives; undefined if there are too many before it, or it is not wanted any more. `who`
   * has one place in the queue, however often it asks: its newest request stands in it.
   */
  async add<T>(
    who: string,
    isWanted: () => boolean,
    work: () => Promise<T>,
  ): Promise<T | undefined> {
    if (!this.waiting.has(who) && this.waiting.size * this.averageMs > MAX_WAIT) return undefined;
    const request = {};
    this.waiting.set(who, request);
    const result = this.last.then(async () => {
      if (this.waiting.get(who) !== request) return undefined; // it has asked again since
      await new Promise((resolve) => setImmediate(resolve));
      if (this.waiting.get(who) !== request) return undefined;
      this.waiting.delete(who);
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
