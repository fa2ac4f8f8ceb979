import type { ControllerClock } from './clock.ts';
import { nextBoundary } from './epoch.ts';

/** When the next epoch is due. Times: controller's clock, ms. */
export class EpochTimer {
  private readonly clock: ControllerClock;
  private readonly periodMs: number;
  private readonly run: () => void;
  /** Boundaries are whole periods from here on. */
  private anchor = 0;
  private dueAt = 0;
  /** Past this, something keeps epochs from being decided. */
  private overdueAt = 0;
  private cancel: () => void = () => {};
  private isStopped = false;

  /** `run` is called when an epoch is due, maybe a little before. */
  constructor(clock: ControllerClock, periodMs: number, run: () => void) {
    this.clock = clock;
    this.periodMs = periodMs;
    this.run = run;
  }

  get due(): number {
    return this.dueAt;
  }

  get isOverdue(): boolean {
    return this.clock.now() > this.overdueAt;
  }

  /** Lets boundaries count from `now` on. */
  startFrom(now: number): void {
    this.anchor = now;
  }

  setTo(due: number): void {
    this.set(due, due + this.periodMs);
  }

  /** At the first boundary after `now`. */
  setToNext(now: number): void {
    this.setTo(nextBoundary(this.anchor, this.periodMs, now));
  }

  /** What was due is tried again at `at`, and as late as it was. */
  tryAgain(at: number): void {
    this.set(at, this.overdueAt);
  }

  stop(): void {
    this.isStopped = true;
    this.cancel();
  }

  private set(due: number, overdueAt: number): void {
    this.cancel();
    this.dueAt = due;
    this.overdueAt = overdueAt;
    if (!this.isStopped) this.cancel = this.clock.after(due - this.clock.now(), this.run);
  }
}
