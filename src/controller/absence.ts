/**
 * The controller was away, and what could not be reported meanwhile is nobody's fault: the epoch in force
 * goes on for a while, and each member is excused until it has reported. Times: the controller's clock, ms.
 */
export class Absence {
  readonly since: number;
  /** The epoch in force goes on until then at the longest. */
  readonly until: number;
  /** How long each member is excused that has not reported. */
  private readonly excused: Map<string, number>;
  private isHolding = true;

  constructor(excused: ReadonlyMap<string, number>, since: number, until: number) {
    this.excused = new Map(excused);
    this.since = since;
    this.until = until;
  }

  awaits(nodeId: string, now: number): boolean {
    return now < (this.excused.get(nodeId) ?? 0);
  }

  /** It reported, or is none any more. */
  endsFor(nodeId: string): void {
    this.excused.delete(nodeId);
  }

  /** Whether the epoch in force still goes on for it. */
  get holdsEpoch(): boolean {
    return this.isHolding;
  }

  /** Nobody is excused any more. */
  get isComplete(): boolean {
    return this.excused.size === 0;
  }

  /** An epoch is decided at `now`. True: nothing is left of the absence. */
  passes(now: number): boolean {
    if (now >= this.until) this.isHolding = false;
    return this.isComplete || [...this.excused.values()].every((until) => now >= until);
  }
}
