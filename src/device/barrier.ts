/** Calls `done` once every hold, and the barrier itself, has been released. */
export class Barrier {
  private waiting = 1;
  private readonly done: () => void;

  constructor(done: () => void) {
    this.done = done;
  }

  hold(): () => void {
    this.waiting++;
    return () => this.release();
  }

  release(): void {
    if (--this.waiting === 0) this.done();
  }
}
