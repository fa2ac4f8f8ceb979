/** How often (ms) the event loop is to come by. */
const INTERVAL = 250;

/**
 * How long this process could not attend to anybody: what its event loop was late, added up. A score
 * that did not get through meanwhile is not its node's fault.
 */
export class Overload {
  private lateMs = 0;
  private dueAt: number;
  private readonly now: () => number;
  private readonly timer: NodeJS.Timeout;

  /** `now`: a monotonic clock in ms. */
  constructor(now: () => number = () => performance.now()) {
    this.now = now;
    this.dueAt = now() + INTERVAL;
    this.timer = setInterval(() => this.look(), INTERVAL);
    this.timer.unref();
  }

  /** Milliseconds since the last call. */
  take(): number {
    this.look();
    const late = this.lateMs;
    this.lateMs = 0;
    return late;
  }

  close(): void {
    clearInterval(this.timer);
  }

  private look(): void {
    const now = this.now();
    this.lateMs += Math.max(0, now - this.dueAt);
    this.dueAt = now + INTERVAL;
  }
}
